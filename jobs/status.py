"""What is there of the studies in a store: done, running, failed, missing."""

from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from jobs.display.console import console
from physrl.errors import DataError
from physrl.evaluation.cells import CellStore, open_cell_store
from physrl.evaluation.matrix import STATUSES, DoneCells, Entry, Matrix, make_matrix
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import StudyPlan

SIGNS = {"running": "[yellow]running[/]", "failed": "[red]failed[/]", "missing": "[dim]missing[/]"}


def run(location: str) -> None:
    """Print the matrix of every study in the store.

    Raises:
        DataError: there is none.
    """
    if "://" not in location and not Path(location).is_dir():
        raise DataError(
            f"store {location} does not exist: name that of a study, as its store= says"
        )
    store = open_cell_store(location)
    plans = store.plans()
    if not plans:
        raise DataError(
            f"store {location} holds no study: run `physrl sweep` with store={location}"
        )
    for plan in plans:
        show_matrix(plan, store)
        _print_rest(plan, store)


def show_matrix(plan: StudyPlan, store: CellStore) -> None:
    """A table for each way of asking: a row a subject, a column a task.

    An entry is the share of successes, or what became of the cell.
    """
    matrix = make_matrix(plan, store)
    results = DoneCells(matrix, store)
    for asking in dict.fromkeys(condition.protocol for condition in matrix.conditions):
        conditions = [each for each in matrix.conditions if each.protocol == asking]
        table = Table(title=f"{plan.name}: {asking}")
        table.add_column("model", no_wrap=True)
        for condition in conditions:
            table.add_column(condition.task, justify="right")
        for subject in matrix.subjects:
            entries = [matrix.find(subject, condition) for condition in conditions]
            if any(entries):
                table.add_row(subject.name, *(_shown(entry, results) for entry in entries))
        console.print(table)
    counts = ", ".join(f"{matrix.count(status)} {status}" for status in STATUSES)
    console.print(f"{plan.name}: of {len(matrix.entries)} cells {counts}")


def _shown(entry: Entry | None, results: Mapping[str, CellResult]) -> str:
    if entry is None:
        return ""
    if entry.status == "done":
        return f"{results[entry.cell.key].count.rate:.0%}"
    return SIGNS[entry.status]


def _print_rest(plan: StudyPlan, store: CellStore) -> None:
    """How far trials, adaptations and probes are, and why what failed did."""
    done, failures = store.done(), store.failures()
    kinds = {
        "trained": [trial.key for trial in plan.trials],
        "adaptations": [spec.key for spec in plan.adaptations],
        "probes": [spec.key for spec in plan.probes],
    }
    for what, keys in kinds.items():
        if keys:
            console.print(f"{what}: {len(done.intersection(keys))} of {len(keys)}")
    matrix = make_matrix(plan, store)
    for reason, count in _reasons(matrix).items():
        console.print(f"{count} cells: {reason}", soft_wrap=True, highlight=False)
    for key in (key for keys in kinds.values() for key in keys):
        if key in failures:
            failure = failures[key]
            console.print(
                f"failed after {failure.tries} tries: {failure.name}: {failure.reason}",
                soft_wrap=True,
                highlight=False,
            )


def _reasons(matrix: Matrix) -> dict[str, int]:
    """Why cells are not there, and how many for each reason."""
    reasons: dict[str, int] = {}
    entries: list[Entry] = list(matrix.entries.values())
    for entry in entries:
        if entry.reason:
            reasons[entry.reason] = reasons.get(entry.reason, 0) + 1
    return reasons
