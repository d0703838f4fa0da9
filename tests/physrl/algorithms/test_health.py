"""Warnings on synthetic runs: each problem once, and none for a healthy run."""

import re
from collections.abc import Iterable

import pytest

from physrl.algorithms.health import WINDOW, HealthCheck
from physrl.types import Metrics

HEALTHY: Metrics = {
    "entropy": 1.0,
    "reward": 0.0,
    "task/place/accuracy": 0.5,
    "completions/mean_length": 10.0,
    "completions/clipped_ratio": 0.0,
    "parse/failure_rate": 0.0,
}


def run(steps: Iterable[Metrics]) -> list[str]:
    check = HealthCheck()
    return [warning for metrics in steps for warning in check(HEALTHY | metrics)]


def test_a_run_that_learns_is_not_warned_about() -> None:
    steps = [
        {
            "reward": step / 100,
            "task/place/accuracy": 0.5 + step / 250,
            "entropy": 1.0 - step / 125,
            "completions/mean_length": 10.0 + step / 20,
        }
        for step in range(100)
    ]
    assert run(steps) == []


def test_collapsed_entropy_is_reported_once_while_it_lasts() -> None:
    (warning,) = run([{}] * WINDOW + [{"entropy": 0.01}] * 3 * WINDOW)
    assert warning.startswith("entropy")
    assert "algorithm.entropy_coef" in warning
    assert "\n" not in warning


def test_a_second_episode_is_reported_again() -> None:
    bad = [{"parse/failure_rate": 0.6, "completions/clipped_ratio": 0.5}] * 2 * WINDOW
    good: list[Metrics] = [{}] * 3 * WINDOW
    warnings = run([*good, *bad, *good, *bad])
    assert len(warnings) == 2
    assert "60%" in run([*bad])[0]
    # One good step does not end it: the mean over the window is still bad.
    assert len(run([*good, *bad, {}, *bad])) == 1


def test_an_intermittent_problem_is_reported_once() -> None:
    flickering = [{"parse/failure_rate": 0.5 * (step // 8 % 2)} for step in range(100)]
    assert len(run(flickering)) == 1


def test_length_drift_both_ways() -> None:
    for length in (25.0, 4.0):
        (warning,) = run([{}] * WINDOW + [{"completions/mean_length": length}] * 2 * WINDOW)
        assert warning.startswith("length")
    assert run([{}] * WINDOW + [{"completions/mean_length": 15.0}] * 2 * WINDOW) == []


def rising(accuracy: float) -> list[Metrics]:
    """The reward rises by 1 with little noise, the accuracy goes from 0.5 to that."""
    noise = [0.01 * (step % 2) for step in range(WINDOW)]
    return [{"reward": value} for value in noise] + [
        {"reward": 1.0 + value, "task/place/accuracy": accuracy} for value in noise
    ]


def test_a_reward_that_rises_without_accuracy_is_reported() -> None:
    (warning,) = run(rising(accuracy=0.4))
    assert warning.startswith("reward")
    assert re.search("50%.*40%", warning)
    assert run(rising(accuracy=0.6)) == []


def test_a_reward_that_rises_while_a_task_is_never_solved_is_reported() -> None:
    """The rise is too slow for two neighboring windows: 0.002 a step with noise of 0.01."""
    slow = [
        {
            "reward": 0.002 * step + 0.02 * (step % 2),
            "task/place/accuracy": 0.5 + 0.01 * (step // WINDOW),
            "task/stabilize/accuracy": 0.0,
        }
        for step in range(6 * WINDOW)
    ]
    (warning,) = run(slow)
    assert warning.startswith("reward without success")
    assert "stabilize" in warning
    assert "place" not in warning
    assert run([step | {"task/stabilize/accuracy": 0.02} for step in slow]) == []
    assert run([step | {"reward": 0.02 * (n % 2)} for n, step in enumerate(slow)]) == []


def test_a_solved_task_is_not_reported_as_never_solved() -> None:
    """The accuracy starts at 0 and rises with the reward."""
    steps = [{"reward": step / 50, "task/place/accuracy": step / 50} for step in range(50)]
    assert [text for text in run(steps) if "without success" in text] == []


def test_noise_in_the_reward_is_no_rise() -> None:
    noisy = [{"reward": float(step % 2)} for step in range(WINDOW)]
    more = [{"reward": 0.3 + step % 2, "task/place/accuracy": 0.4} for step in range(WINDOW)]
    assert run(noisy + more) == []


def test_steps_without_rollouts_have_no_warnings() -> None:
    check = HealthCheck()
    assert [check({"loss": 1.0, "entropy": 0.5}) for _ in range(30)] == [[]] * 30


@pytest.mark.parametrize(
    ("metrics", "named"),
    [
        ({"parse/failure_rate": 1.0, "completions/clipped_ratio": 0.75}, ("75%", "warm_start")),
        ({"frac_reward_zero_std": 1.0, "task/place/accuracy": 0.5}, ("same reward", "temperature")),
        ({"task/place/accuracy": 0.0, "frac_reward_zero_std": 0.5}, ("place", "warm_start.steps")),
    ],
)
def test_a_run_that_cannot_learn_is_told_so_at_its_first_step(
    metrics: Metrics, named: tuple[str, ...]
) -> None:
    check = HealthCheck()
    (warning,) = check(metrics)
    assert all(part in warning for part in named)
    assert check(metrics) == []  # once


def test_a_first_step_with_something_to_learn_from_is_silent() -> None:
    right = {"task/place/accuracy": 0.1, "frac_reward_zero_std": 0.9, "parse/failure_rate": 0.9}
    assert HealthCheck()(right) == []
    mixed = {"task/place/accuracy": 0.0, "task/stability/accuracy": 0.5}
    assert HealthCheck()(mixed) == []
    check = HealthCheck()
    check(right)
    assert check({"task/place/accuracy": 0.0}) == []
