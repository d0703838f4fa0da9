"""What a person watches while something long runs: a bar on a terminal, lines elsewhere."""

import logging
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from jobs.display.console import console
from physrl.types import Metrics

LINES = 20
"""Lines that something long prints where there is no terminal."""


class Bar:
    """How much of a known number is done, and what is under way."""

    def __init__(self, console: Console, name: str, total: int) -> None:
        self._console, self._name, self._total = console, name, total
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[summary]}"),
            TextColumn("[dim]{task.fields[under_way]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(name, total=total, summary="", under_way="")

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

    def begin(self, what: str) -> None:
        """Something begins."""
        self._progress.update(self._task, under_way=what)

    def done(self, count: int, summary: str = "") -> None:
        """So many are done by now."""
        self._progress.update(self._task, completed=count, summary=summary)
        every = max(1, self._total // LINES)
        if not self._console.is_terminal and (count % every == 0 or count == self._total):
            self._console.print(f"{self._name} {count}/{self._total}  {summary}".rstrip())


class TrainingProgress(Bar):
    """Shows one run's steps: reward, accuracy, step time and what is being done."""

    def __init__(self, console: Console, name: str, steps: int) -> None:
        super().__init__(console, f"{name}  step", steps)

    def phase(self, name: str) -> None:
        """What happens now."""
        self.begin(name)

    def step(self, step: int, metrics: Metrics) -> None:
        """A step is done."""
        self.done(step, describe(metrics))


def describe(metrics: Metrics) -> str:
    """Reward and accuracy of an RL step, loss of an SFT step, and its duration."""
    shown = [
        f"{label} {metrics[key]:.3f}"
        for key, label in (("reward", "reward"), ("loss", "loss"))
        if key in metrics
    ]
    shown += [f"{value:.0%} right" for key, value in metrics.items() if key.endswith("/accuracy")]
    return "  ".join([*shown, f"{metrics['time/step_s']:.1f} s"])


def show_training(name: str, steps: int) -> TrainingProgress:
    """Show a phase of so many steps on the console."""
    return TrainingProgress(console, name, steps)
