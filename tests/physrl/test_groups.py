"""Summaries of complete groups, and handles of their records."""

from dataclasses import replace

from physrl.groups import AttemptSummary, GroupState, local_group
from physrl.types import FirstMove, Offset, Rollout, RolloutGroup, Still
from tests.support.rollouts import rollout_group


def mixed_group() -> RolloutGroup:
    """Make a group of a rollout with two attempts, and one with a wrong prediction."""
    group = rollout_group([Offset(1, 2), Offset(3, 4)])
    first, second = group.rollouts
    longer = replace(first.last.completion, token_ids=(1,) * 9, truncated=True, policy_version=4)
    again = replace(first.last, completion=longer)
    moved = replace(second.last.outcome, motion=FirstMove(2, "left"))
    wrong = replace(second.last, predicted=Still(), outcome=moved)
    rollouts = (
        Rollout((*first.attempts, again), first.reward),
        Rollout((wrong,), second.reward),
    )
    return replace(group, rollouts=rollouts)


def test_a_group_has_the_numbers_of_its_rollouts_and_reads_its_record() -> None:
    record = mixed_group()
    group = local_group(GroupState(7, record, ()))
    assert (group.index, group.task) == (7, "place")
    assert group.read() is record
    assert [len(rollout.attempts) for rollout in group.rollouts] == [2, 1]
    assert [rollout.longest for rollout in group.rollouts] == [9, 3]
    assert group.policy_versions == {3, 4}
    assert group.attempts == (
        AttemptSummary(3, False, "settled", 3, None),
        AttemptSummary(9, True, "settled", 4, None),
        AttemptSummary(3, False, "settled", 3, False),
    )
