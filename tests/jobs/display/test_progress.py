import io

from rich.console import Console

from jobs.display.progress import TrainingProgress, describe


def test_a_steps_summary() -> None:
    metrics = {"reward": 0.5, "loss": -0.25, "task/place/accuracy": 0.75, "time/step_s": 3.21}
    assert describe(metrics) == "reward 0.500  loss -0.250  75% right  3.2 s"


def test_without_a_terminal_a_run_prints_a_few_lines() -> None:
    console = Console(file=io.StringIO(), width=200)
    with TrainingProgress(console, "demo", steps=60) as progress:
        for step in range(1, 61):
            progress.phase("updating")
            progress.step(step, {"loss": 1.0, "time/step_s": 1.0})
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 20
    assert lines[-1] == "demo  step 60/60  loss 1.000  1.0 s"
