"""The file of a study's plan; its cells are rows of numbers into tables of what they share.

A plan of 40,000 cells repeats a few hundred subjects, conditions and settings: written once each,
the file is a tenth as large and read in a tenth of the time. An outline also leaves the
configurations unchecked, which takes seconds where thousands of adaptations have one each.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from pydantic import NonNegativeInt, TypeAdapter

from physrl.config.baseline import BaselineConfig
from physrl.config.load import Tree
from physrl.config.run import RunConfig
from physrl.config.task import TaskName
from physrl.evaluation.specs import (
    AdaptationSpec,
    CellSettings,
    CellSpec,
    Condition,
    ProbeSpec,
    StudyPlan,
    Subject,
)
from physrl.evaluation.trials import TrialSpec


@dataclass(frozen=True, slots=True)
class TrialOutline:
    """A trial with its configuration as it was written, unchecked."""

    key: str
    name: str
    task: str
    method: str
    model: str
    seed: int
    variant: str
    config: Tree


@dataclass(frozen=True, slots=True)
class MeasurementOutline:
    """An adaptation or a probe without its settings."""

    key: str
    subject: Subject
    task: TaskName


@dataclass(frozen=True, slots=True)
class StudyOutline:
    """A plan of which nothing is checked that pages and tables do without."""

    name: str
    trials: tuple[TrialOutline, ...]
    subjects: tuple[Subject, ...]
    cells: tuple[CellSpec, ...]
    adaptations: tuple[MeasurementOutline, ...]
    probes: tuple[MeasurementOutline, ...]
    selection: tuple[TrialOutline, ...] = ()
    form: tuple[TrialOutline, ...] = ()


@dataclass(frozen=True, slots=True)
class _CellTables:
    subjects: tuple[Subject, ...]
    conditions: tuple[Condition, ...]
    settings: tuple[CellSettings, ...]
    rows: tuple[tuple[str, NonNegativeInt, NonNegativeInt, NonNegativeInt], ...]
    """Key of each cell, and the places of its subject, condition and settings in the tables."""

    def cells(self) -> tuple[CellSpec, ...]:
        """Look up the cells' records.

        Raises:
            IndexError: a place is outside its table.
        """
        return tuple(
            CellSpec(key, self.subjects[s], self.conditions[c], self.settings[t])
            for key, s, c, t in self.rows
        )


@dataclass(frozen=True, slots=True)
class _PlanFile:
    name: str
    trials: tuple[TrialSpec, ...]
    bases: dict[str, RunConfig]
    baselines: dict[str, BaselineConfig]
    subjects: tuple[Subject, ...]
    cells: _CellTables
    adaptations: tuple[AdaptationSpec, ...]
    probes: tuple[ProbeSpec, ...]
    selection: tuple[TrialSpec, ...] = ()
    form: tuple[TrialSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class _OutlineFile:
    name: str
    trials: tuple[TrialOutline, ...]
    subjects: tuple[Subject, ...]
    cells: _CellTables
    adaptations: tuple[MeasurementOutline, ...]
    probes: tuple[MeasurementOutline, ...]
    selection: tuple[TrialOutline, ...] = ()
    form: tuple[TrialOutline, ...] = ()


def dump_plan(plan: StudyPlan) -> bytes:
    """Serialize a plan."""
    subjects = _Table([cell.subject for cell in plan.cells])
    conditions = _Table([cell.condition for cell in plan.cells])
    settings = _Table([_adapter(CellSettings).dump_json(cell.settings) for cell in plan.cells])
    of_settings = {settings.place(at): plan.cells[at].settings for at in range(len(plan.cells))}
    rows = tuple(
        (cell.key, subjects.place(at), conditions.place(at), settings.place(at))
        for at, cell in enumerate(plan.cells)
    )
    tables = _CellTables(subjects.values, conditions.values, tuple(of_settings.values()), rows)
    others = {field.name: getattr(plan, field.name) for field in fields(plan)}
    file = _PlanFile(**(others | {"cells": tables}))
    return bytes(_adapter(_PlanFile).dump_json(file)) + b"\n"


def parse_plan(data: bytes) -> StudyPlan:
    """Parse a plan.

    Raises:
        ValueError: it is damaged (pydantic's error is one).
        RecursionError: it is nested too deeply.
    """
    file: _PlanFile = _adapter(_PlanFile).validate_json(data)
    others = {field.name: getattr(file, field.name) for field in fields(StudyPlan)}
    return StudyPlan(**(others | {"cells": _cells(file.cells)}))


def parse_outline(data: bytes) -> StudyOutline:
    """Parse a plan's outline.

    Raises:
        ValueError, RecursionError: as `parse_plan`.
    """
    file: _OutlineFile = _adapter(_OutlineFile).validate_json(data)
    others = {field.name: getattr(file, field.name) for field in fields(StudyOutline)}
    return StudyOutline(**(others | {"cells": _cells(file.cells)}))


class _Table:
    """The distinct values of a column, and the place of each row's value among them."""

    def __init__(self, column: Sequence[Hashable]) -> None:
        found: dict[Any, int] = {}
        self._places = [found.setdefault(value, len(found)) for value in column]
        self.values: tuple[Any, ...] = tuple(found)

    def place(self, row: int) -> int:
        return self._places[row]


def _cells(tables: _CellTables) -> tuple[CellSpec, ...]:
    try:
        return tables.cells()
    except IndexError:
        raise ValueError("cells: a row names a record that is not in its table") from None


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)
