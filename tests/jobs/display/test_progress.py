import io
import re

import pytest
from rich.console import Console

from jobs.display.progress import TrainingProgress, describe


def test_a_steps_summary() -> None:
    metrics = {"reward": 0.5, "loss": -0.25, "task/place/accuracy": 0.75, "time/step_s": 3.21}
    assert describe(metrics) == "reward 0.50  success 75%  3.2 s"
    assert describe({"loss": 0.25, "time/step_s": 1.0}) == "loss 0.250  1.0 s"


def test_every_number_of_a_summary_says_what_it_is() -> None:
    metrics = {
        "reward": 0.5,
        "loss": -0.0,
        "task/place/accuracy": 0.62,
        "validation/place/accuracy": 0.66,
        "parse/failure_rate": 0.03,
        "grad_norm": 0.336,
        "entropy": 0.99,
        "time/step_s": 3.2,
    }
    parts = (
        "reward 0.50", "success 62%", "validation 66%", "unparseable 3%", "gradient norm 0.34",
        "entropy 0.99", "3.2 s",
    )  # fmt: skip
    assert describe(metrics, 200) == "  ".join(parts)
    assert "unparseable" not in describe(metrics | {"parse/failure_rate": 0.0}, 200)
    assert describe(metrics, 50) == "reward 0.50  success 62%  validation 66%  3.2 s"
    several = metrics | {"task/stability/accuracy": 0.4}
    assert "success place 62%, stability 40%" in describe(several, 200)
    assert "success 51% of 2 tasks" in describe(several, 50)


@pytest.mark.parametrize("terminal", [True, False])
def test_lines_fit_eighty_columns(terminal: bool) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=terminal, color_system=None)
    metrics = {
        "reward": -0.5,
        "task/place_closed_loop/accuracy": 1.0,
        "validation/place_closed_loop/accuracy": 1.0,
        "parse/failure_rate": 1.0,
        "grad_norm": 123.45,
        "entropy": 0.99,
        "time/step_s": 123.4,
    }
    with TrainingProgress(console, "mine", steps=1000) as progress:
        for step in range(1, 101):
            progress.phase("rolling out")
            progress.step(step, metrics)
    lines = re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", stream.getvalue())
    shown = [line for line in lines if "mine" in line]
    assert shown
    assert max(map(len, shown)) <= 80
    assert all("success 100%" in line for line in shown if "reward" in line)


def test_without_a_terminal_a_run_prints_a_few_lines() -> None:
    console = Console(file=io.StringIO(), width=200)
    with TrainingProgress(console, "demo", steps=60) as progress:
        for step in range(1, 61):
            progress.phase("updating")
            progress.step(step, {"loss": 1.0, "time/step_s": 1.0})
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 20
    assert lines[-1] == "demo  step 60/60  loss 1.000  1.0 s"
