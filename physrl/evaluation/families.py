"""Families: the subjects of a study that differ only in their seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from physrl.config.task import TaskName
from physrl.evaluation.matrix import Matrix
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import Condition, Subject, SubjectKind
from physrl.evaluation.statistics import Floats
from physrl.evaluation.trials import DEFAULT_VARIANT


@dataclass(frozen=True, slots=True)
class Family:
    """A set of subjects that differ only in their seed."""

    kind: SubjectKind
    name: str
    model: str = ""
    method: str = ""
    variant: str = ""
    trained_on: tuple[TaskName, ...] = ()


FamilyCell = tuple[Family, Condition]
"""The cells of a family under one condition, one a seed."""


def family_of(subject: Subject) -> Family:
    """Find the family that a subject belongs to."""
    if subject.kind not in ("trained", "baseline"):
        name = f"{subject.name} (base)" if subject.kind == "base" else subject.name
        return Family(subject.kind, name, subject.model, trained_on=subject.trained_on)
    parts = [subject.model, "+".join(subject.trained_on), subject.method]
    parts += [] if subject.variant == DEFAULT_VARIANT else [subject.variant]
    return Family(
        subject.kind,
        " ".join(parts),
        subject.model,
        subject.method,
        subject.variant,
        subject.trained_on,
    )


def group_families(subjects: Sequence[Subject]) -> dict[Family, list[Subject]]:
    """Group subjects by family, in the order in which the families first appear."""
    members: dict[Family, list[Subject]] = {}
    for subject in subjects:
        members.setdefault(family_of(subject), []).append(subject)
    return members


def tabulate_successes(
    matrix: Matrix, results: Mapping[str, CellResult]
) -> dict[FamilyCell, Floats]:
    """Collect successes, seeds x scenes, of all families and conditions that have any result.

    Missing seeds are NaN.
    """
    table: dict[FamilyCell, Floats] = {}
    for family, subjects in group_families(matrix.subjects).items():
        for condition in matrix.conditions:
            entries = [matrix.find(subject, condition) for subject in subjects]
            cells = [None if entry is None else results.get(entry.cell.key) for entry in entries]
            lengths = {len(cell.answers) for cell in cells if cell is not None}
            if not lengths:
                continue
            (scenes,) = lengths
            table[family, condition] = np.array(
                [
                    [np.nan] * scenes
                    if cell is None
                    else [float(answer.success) for answer in cell.answers]
                    for cell in cells
                ]
            )
    return table
