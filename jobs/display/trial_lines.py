"""What a person reads while the trials of a study run."""

import time
from typing import Any

from ray import tune

from jobs.display.console import console


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
