"""What a person watches while a run trains: a bar on a terminal, lines elsewhere."""

import logging
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from physrl.types import Metrics

LINES = 20
"""Lines that a whole run prints where there is no terminal."""


class TrainingProgress:
    """Shows one run's steps: reward, accuracy, step time and what is being done."""

    def __init__(self, console: Console, name: str, steps: int) -> None:
        self._console, self._name, self._steps = console, name, steps
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[summary]}"),
            TextColumn("[dim]{task.fields[phase]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(name, total=steps, summary="", phase="")

    def __enter__(self) -> Self:
        # Libraries' progress bars and chatter would tear the bar.
        logging.getLogger("transformers").setLevel(logging.ERROR)
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def phase(self, name: str) -> None:
        """What happens now."""
        self._progress.update(self._task, phase=name)

    def step(self, step: int, metrics: Metrics) -> None:
        """A step is done."""
        summary = describe(metrics)
        self._progress.update(self._task, completed=step, summary=summary)
        every = max(1, self._steps // LINES)
        if not self._console.is_terminal and (step % every == 0 or step == self._steps):
            self._console.print(f"{self._name}  step {step}/{self._steps}  {summary}")


def describe(metrics: Metrics) -> str:
    """Reward and accuracy of an RL step, loss of an SFT step, and its duration."""
    shown = [
        f"{label} {metrics[key]:.3f}"
        for key, label in (("reward", "reward"), ("loss", "loss"))
        if key in metrics
    ]
    shown += [f"{value:.0%} right" for key, value in metrics.items() if key.endswith("/accuracy")]
    return "  ".join([*shown, f"{metrics['time/step_s']:.1f} s"])
