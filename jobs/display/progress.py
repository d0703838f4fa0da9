"""Progress of something long: a bar on a terminal, lines elsewhere."""

import logging
from statistics import fmean
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
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
COLUMNS, WIDE = 80, 120
"""Columns that a line fits, and from which a terminal has room for a bar and the elapsed time."""
WIDE_OTHERS, NARROW_OTHERS = 66, 32
"""Columns that the bar, counts, current item and times of a terminal's line take at most."""
GAP = "  "
"""Space between the parts of a summary."""


class Bar:
    """A bar that counts finished items and names the one in progress."""

    def __init__(self, console: Console, name: str, total: int) -> None:
        self._console, self._name, self._total = console, name, total
        wide = console.width >= WIDE
        self._room = COLUMNS - len(f"{name} {total}/{total}{GAP}")
        if console.is_terminal:
            self._room = console.width - len(name) - (WIDE_OTHERS if wide else NARROW_OTHERS)
        columns: list[ProgressColumn] = [
            TextColumn("[bold]{task.description}"),
            *([BarColumn(bar_width=BAR_WIDTH)] if wide else []),
            MofNCompleteColumn(),
            TextColumn("{task.fields[summary]}"),
            TextColumn("[dim]{task.fields[current]}"),
            *([TimeElapsedColumn()] if wide else []),
            TimeRemainingColumn(),
        ]
        self._progress = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
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
        self.done(step, describe(metrics, self._room))


def describe(metrics: Metrics, room: int = COLUMNS) -> str:
    """Summarize a step in at most `room` characters: what each number is, and the duration.

    Shows the reward and success in training, or the loss of SFT; validation; what could not be
    parsed, if anything; gradient norm and entropy. The last of these are left out first. The loss
    of RL is not shown: it is near 0 whatever the policy learns.
    """
    shown = [f"reward {metrics['reward']:.2f}"] if "reward" in metrics else []
    if "reward" not in metrics and "loss" in metrics:
        shown.append(f"loss {metrics['loss']:.3f}")
    shown += _accuracies(metrics, "task", "success", room // 2)
    shown += _accuracies(metrics, "validation", "validation", room // 2)
    if metrics.get("parse/failure_rate"):
        shown.append(f"unparseable {metrics['parse/failure_rate']:.0%}")
    if "reward" in metrics:
        shown += [
            f"{name} {metrics[key]:.2f}"
            for key, name in (("grad_norm", "gradient norm"), ("entropy", "entropy"))
            if key in metrics
        ]
    duration = f"{metrics['time/step_s']:.1f} s"
    while len(shown) > 1 and len(GAP.join([*shown, duration])) > room:
        shown.pop()
    return GAP.join([*shown, duration])


def _accuracies(metrics: Metrics, kind: str, name: str, room: int) -> list[str]:
    """Describe the accuracies of a kind, by task if there are several and they fit."""
    found = {
        key.split("/")[1]: value
        for key, value in metrics.items()
        if key.startswith(f"{kind}/") and key.endswith("/accuracy")
    }
    if len(found) == 1:
        return [f"{name} {value:.0%}" for value in found.values()]
    if not found:
        return []
    by_task = f"{name} {', '.join(f'{task} {value:.0%}' for task, value in found.items())}"
    mean = f"{name} {fmean(found.values()):.0%} of {len(found)} tasks"
    return [by_task if len(by_task) <= room else mean]


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
