"""Rewards against numbers worked out by hand, and their bounds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import PaperRewardConfig, SimulatedRewardConfig
from physrl.environments.simulator import Simulator
from physrl.rewards.paper import paper_reward
from physrl.rewards.score import score
from physrl.rewards.simulated import simulated_reward
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import (
    Action,
    Attempt,
    Completion,
    Offset,
    Outcome,
    Prompt,
    Unparseable,
    Verdict,
)

WEIGHTS = SimulatedRewardConfig(
    success=1, height=0.25, moved=0.25, distance=0.5, illegal=0.5, unparseable=1
)
PLACE = make_scene(TASKS["place"], EnvironmentConfig(), 0, "test", 0)
IDEAL = TASKS["place"].ideal(PLACE)
STATUSES = st.sampled_from(["settled", "illegal", "unparseable"])
LENGTHS = st.floats(0, 50, allow_nan=False)


def attempt(action: Action, outcome: Outcome) -> Attempt:
    return Attempt(
        Prompt.ask("p", "?"), (), Completion("", (1,), (0.0,), False, 0), action, outcome
    )


def test_simulated_reward_is_the_sum_of_its_parts() -> None:
    outcome = Outcome("settled", success=True, height_gain=1.0, displacement=0.2, distance=0.3)
    reward = simulated_reward(outcome, WEIGHTS)
    assert reward.total == pytest.approx(1 + 0.25 - 0.25 * 0.2 - 0.5 * 0.1)
    assert reward.total == pytest.approx(sum(reward.parts.values()))


def test_movement_and_distance_are_capped() -> None:
    far = Outcome("settled", success=False, displacement=40.0, distance=40.0)
    assert simulated_reward(far, WEIGHTS).total == pytest.approx(-0.25 - 0.5)


def test_unparseable_costs_more_than_any_answer() -> None:
    silent = simulated_reward(Outcome("unparseable", success=False), WEIGHTS).total
    worst = simulated_reward(Outcome("illegal", success=False, distance=99.0), WEIGHTS).total
    assert silent == pytest.approx(-1.5)
    assert worst == pytest.approx(-1.0)


def test_a_falling_tower_costs_a_right_verdict_nothing() -> None:
    fell = Outcome("settled", success=True, displacement=3.0)
    assert simulated_reward(fell, WEIGHTS).total == 1.0


@given(STATUSES, st.booleans(), LENGTHS, LENGTHS, st.none() | LENGTHS)
def test_simulated_reward_is_bounded(
    status: str, success: bool, height: float, moved: float, distance: float | None
) -> None:
    outcome = Outcome(status, success, height, moved, distance)  # type: ignore[arg-type]
    total = simulated_reward(outcome, WEIGHTS).total
    assert math.isfinite(total)
    assert -2.75 <= total <= 1.25


@pytest.mark.parametrize(
    ("offset", "status", "expected"),
    [
        (IDEAL, "settled", 10.0),
        (Offset(IDEAL.x, IDEAL.y + 2), "settled", 8.0),  # on top, two too high
        (Offset(0.0, 0.0), "settled", 5.0 - math.hypot(IDEAL.x, IDEAL.y)),  # beside
        (Offset(IDEAL.x, 0.0), "illegal", -5.0),
    ],
)
def test_paper_reward_of_an_offset(offset: Offset, status: str, expected: float) -> None:
    distance = math.hypot(offset.x - IDEAL.x, offset.y - IDEAL.y)
    outcome = Outcome(status, success=False, distance=distance)  # type: ignore[arg-type]
    assert paper_reward(PLACE, offset, outcome).total == pytest.approx(expected)


def test_paper_reward_of_words_and_verdicts() -> None:
    wrong, right = Outcome("settled", success=False), Outcome("settled", success=True)
    assert paper_reward(PLACE, Unparseable("words"), wrong).total == -5
    assert paper_reward(PLACE, Verdict(True), right).total == 1
    assert paper_reward(PLACE, Verdict(True), wrong).total == 0


@pytest.mark.parametrize("config", [PaperRewardConfig(), WEIGHTS])
def test_no_answer_earns_more_than_the_ideal_one(
    config: PaperRewardConfig | SimulatedRewardConfig, simulator: Simulator
) -> None:
    task = TASKS["place"]
    best = score(PLACE, [attempt(IDEAL, task.act(PLACE, IDEAL, simulator))], config).total
    for dx in (-1.0, -0.3, 0.0, 0.3, 1.0):
        for dy in (-1.0, 0.0, 0.5):
            action = Offset(IDEAL.x + dx, IDEAL.y + dy)
            outcome = task.act(PLACE, action, simulator)
            assert score(PLACE, [attempt(action, outcome)], config).total <= best + 1e-6
