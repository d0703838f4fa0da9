"""Progress of something long: a bar on a terminal, lines elsewhere."""

import logging
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from jobs.display.console import console
from physrl.types import Metrics

LINES = 20
"""Lines printed in all where there is no terminal."""
BAR_WIDTH = 24


class Bar:
    """A bar that counts finished items and names the one in progress."""

    def __init__(self, console: Console, name: str, total: int) -> None:
        self._console, self._name, self._total = console, name, total
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=BAR_WIDTH),
            MofNCompleteColumn(),
            TextColumn("{task.fields[summary]}"),
            TextColumn("[dim]{task.fields[current]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(name, total=total, summary="", current="")

    def __enter__(self) -> Self:
        # Libraries' own progress bars and warnings would break up the bar.
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

    def begin(self, item: str) -> None:
        """Show an item as the one in progress."""
        self._progress.update(self._task, current=item)

    def done(self, count: int, summary: str = "") -> None:
        """Show how many items are finished, and a summary of the last."""
        self._progress.update(self._task, completed=count, summary=summary)
        every = max(1, self._total // LINES)
        if not self._console.is_terminal and (count % every == 0 or count == self._total):
            self._console.print(f"{self._name} {count}/{self._total}  {summary}".rstrip())


class TrainingProgress(Bar):
    """A bar over the steps of a run, with reward, accuracy, step time and current phase."""

    def __init__(self, console: Console, name: str, steps: int) -> None:
        super().__init__(console, f"{name}  step", steps)

    def phase(self, name: str) -> None:
        """Show the current phase."""
        self.begin(name)

    def step(self, step: int, metrics: Metrics) -> None:
        """Show a finished step."""
        self.done(step, describe(metrics))


def describe(metrics: Metrics) -> str:
    """Summarize a step: reward and accuracy (RL) or loss (SFT), and duration."""
    shown = [f"{key} {metrics[key]:.3f}" for key in ("reward", "loss") if key in metrics]
    shown += [f"{value:.0%} right" for key, value in metrics.items() if key.endswith("/accuracy")]
    return "  ".join([*shown, f"{metrics['time/step_s']:.1f} s"])


def show_training(name: str, steps: int) -> TrainingProgress:
    """Show a phase's steps on the console."""
    return TrainingProgress(console, name, steps)


def download_progress() -> Progress:
    """Show the bytes of a download on the console."""
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=BAR_WIDTH),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
