"""Credit of rollouts: own, yoked and random rewards, and successes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from physrl.algorithms.batch import group_rewards
from physrl.algorithms.credit import credit, random, yoked
from physrl.config.load import validate
from physrl.errors import ConfigError
from physrl.groups import AttemptSummary, Group, InMemory, RolloutSummary
from physrl.types import Reward
from tests.support.groups import group_of, record_of

RECORD = record_of([0.0])
ATTEMPTS = (AttemptSummary(1, truncated=False, status="settled", policy_version=0, predicted=None),)
REWARDS = ([1.0, 0.0], [0.5, 0.25], [0.0, -1.0], [-0.5, 2.0])


def groups_of(*tasks: str) -> list[Group]:
    """Make a group of two rollouts for each task, no two of which have equal rewards."""
    return [
        replace(group_of(rewards), task=task) for rewards, task in zip(REWARDS, tasks, strict=False)
    ]


def earning(rewards: Sequence[float]) -> Group:
    """Make a group without a record."""
    rollouts = tuple(RolloutSummary(Reward(each), each > 0, ATTEMPTS) for each in rewards)
    return Group(0, "place", rollouts, InMemory(RECORD))


def credit_of(groups: list[Group], step: int = 0, **algorithm: Any) -> list[list[float]]:
    credited = credit(groups, validate({"algorithm": algorithm}), step)
    return [[round(value, 4) for value in row] for row in credited.tolist()]


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_own_rewards_give_the_algorithms_advantages() -> None:
    groups = groups_of("place", "place")
    assert credit_of(groups, scale_rewards="none") == [[0.5, -0.5], [0.125, -0.125]]


def test_yoked_groups_learn_from_each_others_rewards() -> None:
    groups = groups_of("place", "place")
    # Two groups can only swap.
    swapped = credit_of(groups, scale_rewards="none", reward_source="yoked")
    assert swapped == [[0.125, -0.125], [0.5, -0.5]]


@pytest.mark.parametrize("seed", range(20))
def test_yoking_keeps_the_distribution_of_rewards_and_no_groups_own(seed: int) -> None:
    groups = groups_of("place", "stability", "place", "place")
    given = yoked(groups, rng(seed))
    assert [group.task for group in given] == [group.task for group in groups]
    assert [group.read for group in given] == [group.read for group in groups]
    own, others = group_rewards(groups), group_rewards(given)
    places = [0, 2, 3]
    assert sorted(map(tuple, own[places])) == sorted(map(tuple, others[places]))
    assert not any(np.array_equal(own[place], others[place]) for place in places)
    # The only group of its task learns nothing.
    assert len(set(others[1])) == 1


def test_partners_change_from_step_to_step_and_repeat_for_a_step() -> None:
    groups = groups_of("place", "place", "place", "place")
    steps = [credit_of(groups, step, reward_source="yoked") for step in range(8)]
    assert steps == [credit_of(groups, step, reward_source="yoked") for step in range(8)]
    assert len({str(step) for step in steps}) > 2


def test_yoked_rewards_do_not_depend_on_the_answers() -> None:
    # Answers whose own reward is 1 or 0; under yoking either is credited alike on average.
    draws = rng(0)
    own, given = [], []
    for step in range(200):
        groups = [earning(draws.integers(0, 2, 4).astype(float).tolist()) for _ in range(8)]
        own.append(group_rewards(groups).ravel())
        given.append(credit(groups, validate({"algorithm": {"reward_source": "yoked"}}), step))
    correlation = np.corrcoef(np.concatenate(own), np.concatenate(given, axis=None))[0, 1]
    # 6,400 pairs: a standard error of 0.0125.
    assert abs(correlation) < 0.05


def test_random_rewards_are_coins() -> None:
    groups = [group_of([5.0] * 50) for _ in range(20)]
    rewards = group_rewards(random(groups, rng(0)))
    assert set(rewards.ravel()) == {0.0, 1.0}
    assert rewards.mean() == pytest.approx(0.5, abs=0.07)  # 4 standard errors of 1,000 coins
    assert credit_of(groups, 1, reward_source="random") != credit_of(
        groups, 2, reward_source="random"
    )


def test_rejection_sampling_credits_successes() -> None:
    groups = groups_of("place", "place", "place")
    assert credit_of(groups, type="rejection") == [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]


def test_yoking_needs_two_scenes_of_each_task() -> None:
    table = {"reward_source": "yoked", "prompts_per_step": 3}
    validate({"algorithm": table})
    with pytest.raises(ConfigError, match=r"prompts_per_step=4"):
        validate({"algorithm": table, "mixture": ["place", "stability"]})


def chance_of_the_best_arm(source: str, seed: int) -> float:
    """Train a softmax policy over four arms, one of which is rewarded, and return its chance."""
    draws, logits = rng(seed), np.zeros(4)
    config = validate({"seed": seed, "algorithm": {"reward_source": source}})
    for step in range(60):
        chances = np.exp(logits) / np.exp(logits).sum()
        arms = draws.choice(4, size=(4, 8), p=chances)
        groups = [earning(row) for row in (arms == 2).astype(float).tolist()]
        credited = credit(groups, config, step)
        gradient = (np.eye(4)[arms] - chances) * credited[:, :, None]
        logits += 0.3 * gradient.mean(axis=(0, 1))
    return float(np.exp(logits[2]) / np.exp(logits).sum())


def test_only_own_rewards_teach_a_bandit() -> None:
    learned = {
        source: [chance_of_the_best_arm(source, seed) for seed in range(20)]
        for source in ("own", "yoked", "random")
    }
    assert min(learned["own"]) > 0.9
    for control in ("yoked", "random"):
        error = np.std(learned[control]) / 20**0.5
        assert abs(np.mean(learned[control]) - 0.25) < 3 * error
