"""Print the results of the studies in a store: done, running, failed, missing."""

from collections import Counter
from collections.abc import Mapping
from importlib.util import find_spec

from rich.table import Table

from jobs.arguments.study_place import open_studies
from jobs.display.console import console
from physrl.evaluation.cells import CellStore
from physrl.evaluation.matrix import STATUSES, DoneCells, Entry, make_matrix
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import StudyPlan

SIGNS = {"running": "[yellow]running[/]", "failed": "[red]failed[/]", "missing": "[dim]missing[/]"}


def run(location: str) -> None:
    """Print the status of every study in the store.

    Raises:
        DataError: the store does not exist or holds no study.
    """
    store, plans = open_studies(location)
    for plan in plans:
        show_matrix(plan, store)
        _print_counts(plan, store)


def show_matrix(plan: StudyPlan, store: CellStore) -> None:
    """Print a table for each protocol: a row per subject, a column per task.

    An entry is the success rate of a finished cell, or the cell's status.
    """
    matrix = make_matrix(plan, store)
    results = DoneCells(matrix, store) if find_spec("pyarrow") else None
    for protocol in dict.fromkeys(condition.protocol for condition in matrix.conditions):
        conditions = [each for each in matrix.conditions if each.protocol == protocol]
        table = Table(title=f"{plan.name}: {protocol}")
        table.add_column("model", no_wrap=True)
        for condition in conditions:
            table.add_column(condition.task, justify="right")
        for subject in matrix.subjects:
            entries = [matrix.find(subject, condition) for condition in conditions]
            if any(entries):
                table.add_row(subject.name, *(_entry_text(entry, results) for entry in entries))
        console.print(table)
    counts = ", ".join(f"{matrix.count(status)} {status}" for status in STATUSES)
    console.print(f"{plan.name}: of {len(matrix.entries)} cells {counts}")
    if results is None and matrix.count("done"):
        console.print("success rates are in Parquet files: pip install pyarrow shows them")


def _entry_text(entry: Entry | None, results: Mapping[str, CellResult] | None) -> str:
    if entry is None:
        return ""
    if entry.status == "done":
        return "done" if results is None else f"{results[entry.cell.key].count.rate:.0%}"
    return SIGNS[entry.status]


def _print_counts(plan: StudyPlan, store: CellStore) -> None:
    """Print the progress of trials, adaptations and probes, and the reasons of failures."""
    done, failures = store.done(), store.failures()
    kinds = {
        "form": [trial.key for trial in plan.form],
        "rates": [trial.key for trial in plan.selection],
        "trained": [trial.key for trial in plan.trials],
        "adaptations": [spec.key for spec in plan.adaptations],
        "probes": [spec.key for spec in plan.probes],
    }
    for kind, keys in kinds.items():
        if keys:
            console.print(f"{kind}: {len(done.intersection(keys))} of {len(keys)}")
    matrix = make_matrix(plan, store)
    reasons = Counter(entry.reason for entry in matrix.entries.values() if entry.reason)
    for reason, count in reasons.items():
        console.print(f"{count} cells: {reason}", soft_wrap=True, highlight=False)
    for key in (key for keys in kinds.values() for key in keys):
        if key in failures:
            failure = failures[key]
            console.print(
                f"failed after {failure.tries} tries: {failure.name}: {failure.reason}",
                soft_wrap=True,
                highlight=False,
            )
