"""Cells in tables: who was trained on what, against what it was asked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from physrl.evaluation.cells import CellResult, CellStore, Failure, Running
from physrl.evaluation.specs import CellSpec, Condition, StudyPlan, Subject

Status = Literal["done", "running", "failed", "missing"]
STATUSES: tuple[Status, ...] = ("done", "running", "failed", "missing")


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell, and what became of it."""

    cell: CellSpec
    status: Status
    reason: str = ""
    """Why it failed, or why it is missing where its model is to blame."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """All cells of a study."""

    subjects: tuple[Subject, ...]
    """The rows, in the plan's order."""
    conditions: tuple[Condition, ...]
    """The columns, in the plan's order."""
    entries: Mapping[tuple[str, Condition], Entry]
    """By the subject's key and the condition; controls are not asked everything."""

    def count(self, status: Status) -> int:
        """How many cells have a status."""
        return sum(entry.status == status for entry in self.entries.values())

    def find(self, subject: Subject, condition: Condition) -> Entry | None:
        """A cell; None where it is not planned."""
        return self.entries.get((subject.key, condition))


def make_matrix(plan: StudyPlan, store: CellStore) -> Matrix:
    """What there is of a study's cells; reads names and reasons, no answers."""
    done, running, failures = store.done(), store.running(), store.failures()
    entries = {
        (cell.subject.key, cell.condition): _entry(cell, done, running, failures)
        for cell in plan.cells
    }
    conditions = tuple(dict.fromkeys(cell.condition for cell in plan.cells))
    return Matrix(plan.subjects, conditions, entries)


class DoneCells(Mapping[str, CellResult]):
    """The answers of a study's cells that are there, by key: read when they are asked for.

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


def read_done(matrix: Matrix, store: CellStore) -> Mapping[str, CellResult]:
    """The answers of all cells that are there, by key."""
    return DoneCells(matrix, store)


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
        return Entry(cell, "failed", f"its training failed: {failures[cell.subject.key].reason}")
    if cell.subject.kind == "trained" and cell.subject.key not in done:
        return Entry(cell, "missing", "its model is not trained yet")
    return Entry(cell, "missing")
