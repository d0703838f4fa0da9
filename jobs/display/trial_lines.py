"""Lines about the trials of a study while they run."""

import time
from typing import Any

from ray import tune

from jobs.display.console import console


class TrialLines(tune.Callback):
    """A Tune callback that prints when a trial starts and ends.

    Tune pickles it, so it holds no console.
    """

    def __init__(self, total: int) -> None:
        self._total, self._ended = total, 0
        self._started: dict[str, float] = {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Print that a trial starts."""
        self._started[trial.trial_id] = time.time()
        console.print(f"started: {trial}", highlight=False)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Print that a trial is done."""
        self._end(trial, "done")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Print that a trial failed."""
        self._end(trial, "failed")

    def _end(self, trial: Any, status: str) -> None:
        self._ended += 1
        seconds = time.time() - self._started.get(trial.trial_id, time.time())
        console.print(
            f"{status} {self._ended}/{self._total}: {trial} ({seconds:.0f} s)", highlight=False
        )
