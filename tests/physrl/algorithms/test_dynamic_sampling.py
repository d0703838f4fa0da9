"""Replacement of zero-variance groups."""

from collections.abc import Sequence

from physrl.algorithms.dynamic_sampling import refill, refill_indices
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.groups import Group
from tests.support.groups import group_of

MIXED, ALL_GOOD, ALL_BAD = (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)


def make_config(max_refills: int) -> RunConfig:
    table = {"type": "dapo", "max_refills": max_refills, "prompts_per_step": 3, "group_size": 2}
    return validate({"algorithm": table})


class Draws:
    """A rollout function that returns prepared groups and records the indices."""

    def __init__(self, *groups: Sequence[Sequence[float]]) -> None:
        self.groups = iter(groups)
        self.drawn: list[list[int]] = []

    def __call__(self, indices: Sequence[int]) -> list[Group]:
        self.drawn.append(list(indices))
        groups = [group_of(rewards) for rewards in next(self.groups)]
        assert len(groups) == len(indices)
        return groups


def rewards_of(groups: Sequence[Group]) -> list[tuple[float, ...]]:
    return [tuple(rollout.reward.total for rollout in group.rollouts) for group in groups]


def test_zero_variance_groups_are_replaced_until_none_is_left() -> None:
    config = make_config(3)
    draws = Draws([ALL_BAD, (0.0, 1.0)], [(0.5, 1.0)])
    groups = [group_of(rewards) for rewards in (ALL_GOOD, MIXED, ALL_BAD)]
    refilled = refill(groups, draws, config, config.algorithm, step=0)
    assert rewards_of(refilled.groups) == [(0.0, 1.0), MIXED, (0.5, 1.0)]
    assert (refilled.drawn, refilled.replaced) == (6, 2)
    assert [len(indices) for indices in draws.drawn] == [2, 1]


def test_refills_are_bounded_and_the_batch_keeps_its_size() -> None:
    config = make_config(2)
    draws = Draws([ALL_BAD], [ALL_BAD])
    groups = [group_of(rewards) for rewards in (MIXED, ALL_GOOD, MIXED)]
    refilled = refill(groups, draws, config, config.algorithm, step=0)
    assert rewards_of(refilled.groups) == [MIXED, ALL_GOOD, MIXED]
    assert refilled.metrics == {
        "dynamic_sampling/groups_drawn": 5,
        "dynamic_sampling/groups_replaced": 0,
    }


def test_without_refills_nothing_is_drawn() -> None:
    config = make_config(0)
    refilled = refill([group_of(ALL_BAD)], Draws(), config, config.algorithm, step=0)
    assert rewards_of(refilled.groups) == [ALL_BAD]


def test_no_scene_is_drawn_twice() -> None:
    config = make_config(2)
    seen = [
        index
        for step in range(4)
        for attempt in range(2)
        for index in refill_indices(config.algorithm, step, attempt)
    ]
    assert len(set(seen)) == len(seen) == 4 * 2 * 3
    assert min(seen) >= 2**40  # a run's own scenes have smaller indices
