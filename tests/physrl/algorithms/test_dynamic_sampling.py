"""Groups of equal rewards are replaced, up to a bound."""

from collections.abc import Sequence

import numpy as np

from physrl.algorithms.dynamic_sampling import refill, refill_indices
from physrl.config.environment import EnvironmentConfig
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.groups import Group
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import Attempt, Completion, Offset, Outcome, Prompt, Reward, Rollout, RolloutGroup
from tests.support.groups import complete

SCENE = make_scene(TASKS["place"], EnvironmentConfig(), 0, "train", 0)
PROMPT = Prompt.ask("p", "?", np.zeros((1, 1, 3), np.uint8))
MIXED, ALL_GOOD, ALL_BAD = (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)


def group_of(rewards: Sequence[float]) -> Group:
    rollouts = tuple(
        Rollout(
            (
                Attempt(
                    PROMPT,
                    (),
                    Completion("", (1,), (-0.5,), False, 0),
                    Offset(0, 0),
                    Outcome("settled", success=reward > 0),
                ),
            ),
            Reward(reward, {"success": reward}),
        )
        for reward in rewards
    )
    return complete(RolloutGroup(SCENE, PROMPT, rollouts))


def make_config(max_refills: int) -> RunConfig:
    table = {"type": "dapo", "max_refills": max_refills, "prompts_per_step": 3, "group_size": 2}
    return validate({"algorithm": table})


class Draws:
    """Answers each refill with groups that were written down."""

    def __init__(self, *answers: Sequence[Sequence[float]]) -> None:
        self.answers = iter(answers)
        self.asked: list[list[int]] = []

    def __call__(self, indices: Sequence[int]) -> list[Group]:
        self.asked.append(list(indices))
        groups = [group_of(rewards) for rewards in next(self.answers)]
        assert len(groups) == len(indices)
        return groups


def rewards_of(groups: Sequence[Group]) -> list[tuple[float, ...]]:
    return [tuple(rollout.reward.total for rollout in group.rollouts) for group in groups]


def test_groups_that_agree_are_replaced_until_none_is_left() -> None:
    config = make_config(3)
    draws = Draws([ALL_BAD, (0.0, 1.0)], [(0.5, 1.0)])
    groups = [group_of(rewards) for rewards in (ALL_GOOD, MIXED, ALL_BAD)]
    refilled = refill(groups, draws, config, config.algorithm, step=0)
    assert rewards_of(refilled.groups) == [(0.0, 1.0), MIXED, (0.5, 1.0)]
    assert (refilled.drawn, refilled.replaced) == (6, 2)
    assert [len(asked) for asked in draws.asked] == [2, 1]


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
