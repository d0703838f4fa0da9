"""A linear reader under GRPO: recovery from poor starts, and what it learns from a bad reward."""

import numpy as np
import pytest

from physrl.config.reward import RewardConfig, SimulatedRewardConfig
from physrl.environments.simulator import Simulator
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from tests.support.exact_simulator import ExactSimulator
from tests.support.linear_reader import (
    SETTINGS,
    Budget,
    LinearReader,
    rewarded,
    success_rate,
    train,
)

BUDGET = Budget(pool=64)


def learned(task: str, start: str, reward: RewardConfig) -> float:
    exact = ExactSimulator()
    reader = LinearReader(task, start, BUDGET.noise, seed=0)
    train(reader, task, reward, BUDGET, exact, seed=0)
    return success_rate(reader, task, reward, exact, 40)


@pytest.mark.parametrize(
    ("task", "start"),
    [
        ("stabilize", "idle"),
        pytest.param("place", "idle", marks=pytest.mark.slow),
        pytest.param("place_x", "opposite", marks=pytest.mark.slow),
        pytest.param("place_y", "blind", marks=pytest.mark.slow),
    ],
)
def test_the_default_reward_recovers_from_a_poor_start(task: str, start: str) -> None:
    assert learned(task, start, SimulatedRewardConfig()) > 0.8


def test_penalties_without_a_distance_teach_to_leave_the_block_alone() -> None:
    timid = SimulatedRewardConfig(moved=0.5, illegal=0.5, distance=0)
    assert learned("place", "idle", timid) < 0.1


@pytest.mark.parametrize("task", ["place", "place_x", "place_y", "stabilize"])
def test_the_exact_simulator_agrees_about_success(task: str, simulator: Simulator) -> None:
    """Answers beside the ideal one, on both sides of every limit but none right on it."""
    reward, exact = SimulatedRewardConfig(), ExactSimulator()
    axes, agreed, total = TASKS[task].axes, 0, 0
    for index in range(10):
        scene = make_scene(TASKS[task], SETTINGS, 0, "test", index)
        ideal = TASKS[task].ideal(scene)
        for shift in (-0.7, -0.2, 0.0, 0.03, 0.25, 0.8):
            answer = np.array([getattr(ideal, axis) + shift for axis in axes])
            both = [rewarded(scene, answer, reward, each)[1] for each in (exact, simulator)]
            agreed, total = agreed + (both[0] == both[1]), total + 1
    assert agreed >= 0.95 * total
