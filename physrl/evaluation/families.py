"""Families: the subjects of a study that differ only in their seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from physrl.config.methods import CONTROLS
from physrl.config.task import TaskName
from physrl.evaluation.matrix import Matrix
from physrl.evaluation.scores import MISSING, Scored, Scores
from physrl.evaluation.specs import Condition, Subject, SubjectKind
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


def is_main(family: Family) -> bool:
    """Return True for a family of one task and the default variant that is not a control."""
    return (
        family.kind == "trained"
        and family.variant == DEFAULT_VARIANT
        and family.method not in CONTROLS
        and len(family.trained_on) == 1
    )


def group_families(subjects: Sequence[Subject]) -> dict[Family, list[Subject]]:
    """Group subjects by family, in the order in which the families first appear."""
    members: dict[Family, list[Subject]] = {}
    for subject in subjects:
        members.setdefault(family_of(subject), []).append(subject)
    return members


def tabulate_scores(matrix: Matrix, results: Mapping[str, Scored]) -> dict[FamilyCell, Scores]:
    """Collect the scores of all families and conditions that have any result."""
    table: dict[FamilyCell, Scores] = {}
    for family, subjects in group_families(matrix.subjects).items():
        for condition in matrix.conditions:
            entries = [matrix.find(subject, condition) for subject in subjects]
            results_of = [
                None if entry is None else results.get(entry.cell.key) for entry in entries
            ]
            cells = [None if result is None else result.scores for result in results_of]
            lengths = {len(cell.successes) for cell in cells if cell is not None}
            if not lengths:
                continue
            (scenes,) = lengths
            missing = np.full(scenes, MISSING, np.int8)
            table[family, condition] = Scores(
                np.stack([missing if cell is None else cell.successes for cell in cells]),
                np.stack([missing if cell is None else cell.stages for cell in cells]),
                next(cell for cell in cells if cell is not None).falls,
            )
    return table
