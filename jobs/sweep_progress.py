"""What a person watches while a study runs: bars on a terminal, lines elsewhere."""

import time
from types import TracebackType
from typing import Any, Self

from ray import tune
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from jobs.console import console

LINES = 20
"""Lines that a whole phase prints where there is no terminal."""


class SweepProgress:
    """A bar of one phase, with what is under way."""

    def __init__(self, console: Console, name: str, total: int) -> None:
        self._console, self._name, self._total = console, name, total
        self._done = 0
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[under_way]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(name, total=total, under_way="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, name: str) -> None:
        """Something begins."""
        self._progress.update(self._task, under_way=name)

    def advance(self) -> None:
        """Something is done or given up."""
        self._done += 1
        self._progress.update(self._task, completed=self._done)
        every = max(1, self._total // LINES)
        if not self._console.is_terminal and (self._done % every == 0 or self._done == self._total):
            self._console.print(f"{self._name} {self._done}/{self._total}")


class TrialLines(tune.Callback):
    """Says when a trial begins and ends; Tune pickles it, so it holds no console."""

    def __init__(self, total: int) -> None:
        self._total, self._ended = total, 0
        self._began: dict[str, float] = {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tune calls it."""
        self._began[trial.trial_id] = time.time()
        console.print(f"begins: {trial}", highlight=False)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tune calls it."""
        self._end(trial, "done")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tune calls it."""
        self._end(trial, "failed")

    def _end(self, trial: Any, how: str) -> None:
        self._ended += 1
        seconds = time.time() - self._began.get(trial.trial_id, time.time())
        console.print(
            f"{how} {self._ended}/{self._total}: {trial} ({seconds:.0f} s)", highlight=False
        )
