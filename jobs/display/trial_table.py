"""A table of a study's trials and of their checkpoints in storage."""

from multiprocessing.pool import ThreadPool

from rich.table import Table

from jobs.display.console import console
from physrl.errors import DataError
from physrl.evaluation.cells import CellStore
from physrl.evaluation.trial_runs import stored_run
from physrl.storage.object_store import open_store
from physrl.storage.retention import best_first
from physrl.storage.stored_checkpoints import PARALLEL, list_checkpoints

KEY_DIGITS = 12
"""Digits of a trial's key that are shown; `--trial` takes any start of a key."""


def show_trials(store: CellStore) -> None:
    """Print the trials of all studies in a store with their checkpoints.

    Raises:
        DataError: the store holds no study.
        StorageError: the storage cannot be read.
    """
    plans = store.plans()
    if not plans:
        raise DataError(f"store {store.location} holds no study")
    done, failed = store.done(), store.failures()
    for plan in plans:
        trials = [subject for subject in plan.subjects if subject.kind == "trained"]
        with ThreadPool(PARALLEL) as pool:
            places = [stored_run(plan, trial) for trial in trials]
            found = pool.map(_checkpoints, places, 1)
        table = Table("trial", "key", "state", "steps", "best", title=plan.name)
        for trial, steps in zip(trials, found, strict=True):
            failure = "failed" if trial.key in failed else ""
            state = "trained" if trial.key in done else failure
            table.add_row(trial.name, trial.key[:KEY_DIGITS], state, *steps)
        console.print(table)


def _checkpoints(place: str | None) -> tuple[str, str]:
    """List the steps of complete checkpoints, and the best."""
    if place is None:
        return "not in storage", ""
    scores = {each.step: each.score for each in list_checkpoints(open_store(place)) if each.files}
    best = best_first(scores)
    return ", ".join(map(str, scores)), str(best[0]) if best else ""
