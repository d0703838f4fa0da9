"""The matrix of a study: its cells by subject and condition, with their states."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from physrl.evaluation.cells import CellStore, Failure, Running
from physrl.evaluation.plan_file import StudyOutline
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import CellSpec, Condition, StudyPlan, Subject

Status = Literal["done", "running", "failed", "missing"]
STATUSES: tuple[Status, ...] = ("done", "running", "failed", "missing")


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell and its status."""

    cell: CellSpec
    status: Status
    reason: str = ""
    """Reason of a failure, or of a missing cell if its model is missing."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """All cells of a study."""

    subjects: tuple[Subject, ...]
    """Rows, in the plan's order."""
    conditions: tuple[Condition, ...]
    """Columns, in the plan's order."""
    entries: Mapping[tuple[str, Condition], Entry]
    """Planned cells by subject key and condition; controls are not measured under all."""

    def count(self, status: Status) -> int:
        """Count the cells that have a status."""
        return sum(entry.status == status for entry in self.entries.values())

    def find(self, subject: Subject, condition: Condition) -> Entry | None:
        """Find the cell of a subject and condition; None if it is not planned."""
        return self.entries.get((subject.key, condition))


def make_matrix(plan: StudyPlan, store: CellStore) -> Matrix:
    """Look up the status of a study's cells; reads names and failures, but no answers."""
    return arrange_cells(plan, store.done(), store.running(), store.failures())


def arrange_cells(
    plan: StudyPlan | StudyOutline,
    done: frozenset[str],
    running: Mapping[str, Running],
    failures: Mapping[str, Failure],
) -> Matrix:
    """Arrange a study's cells by what its store was found to hold."""
    entries = {
        (cell.subject.key, cell.condition): _entry(cell, done, running, failures)
        for cell in plan.cells
    }
    conditions = tuple(dict.fromkeys(cell.condition for cell in plan.cells))
    return Matrix(plan.subjects, conditions, entries)


class DoneCells(Mapping[str, CellResult]):
    """A study's completed cells by key, each read from the store on access.

    A large study's answers are gigabytes, of which figures keep the successes alone.
    """

    def __init__(self, matrix: Matrix, store: CellStore) -> None:
        entries = matrix.entries.values()
        self._keys = dict.fromkeys(e.cell.key for e in entries if e.status == "done")
        self._store = store

    def __getitem__(self, key: str) -> CellResult:
        result = self._store.read_cell(key) if key in self._keys else None
        if result is None:
            raise KeyError(key)
        return result

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _entry(
    cell: CellSpec,
    done: frozenset[str],
    running: Mapping[str, Running],
    failures: Mapping[str, Failure],
) -> Entry:
    if cell.key in done:
        return Entry(cell, "done")
    if cell.key in running:
        return Entry(cell, "running")
    if cell.key in failures:
        return Entry(cell, "failed", failures[cell.key].reason)
    if cell.subject.key in failures:
        return Entry(cell, "failed", f"training failed: {failures[cell.subject.key].reason}")
    if cell.subject.kind == "trained" and cell.subject.key not in done:
        return Entry(cell, "missing", "its model is not trained yet")
    return Entry(cell, "missing")
