"""Families: the subjects of a study that differ only in their seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from physrl.config.methods import CONTROLS
from physrl.config.task import TaskName
from physrl.evaluation.matrix import Matrix
from physrl.evaluation.results import Answer, CellResult
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


STAGES = {"unparseable": 0, "illegal": 1, "settled": 2}
"""How far an answer came, by its status: it was parsed, it was carried out."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The outcomes of a family's answers under one condition, seeds x scenes.

    Values are 0 or 1; missing seeds are NaN.
    """

    successes: Floats
    parsed: Floats
    """1 for an answer of the right form."""
    legal: Floats
    """1 for an answer that could be carried out."""
    falls: Floats
    """The true verdict of each scene, 1 for a fall; NaN for tasks with other answers."""

    @property
    def parsed_share(self) -> float:
        """The share of answers of the right form."""
        return float(np.nanmean(self.parsed))

    @property
    def legal_share(self) -> float:
        """The share of answers that could be carried out."""
        return float(np.nanmean(self.legal))

    @property
    def success_if_legal(self) -> float | None:
        """The success rate of answers that could be carried out; None without any."""
        legal = float(np.nansum(self.legal))
        return float(np.nansum(self.successes)) / legal if legal else None


def tabulate_scores(matrix: Matrix, results: Mapping[str, CellResult]) -> dict[FamilyCell, Scores]:
    """Collect the scores of all families and conditions that have any result."""
    table: dict[FamilyCell, Scores] = {}
    for family, subjects in group_families(matrix.subjects).items():
        for condition in matrix.conditions:
            entries = [matrix.find(subject, condition) for subject in subjects]
            cells = [None if entry is None else results.get(entry.cell.key) for entry in entries]
            lengths = {len(cell.answers) for cell in cells if cell is not None}
            if not lengths:
                continue
            (scenes,) = lengths
            rows = [_score_cell(cell, scenes) for cell in cells]
            successes, stages = (np.stack(column) for column in zip(*rows, strict=True))
            first = next(cell for cell in cells if cell is not None)
            table[family, condition] = Scores(
                successes,
                np.minimum(stages, 1),
                np.maximum(stages - 1, 0),
                np.array([answer.falls for answer in first.answers], np.float64),
            )
    return table


def score_answers(answers: Sequence[Answer]) -> Scores:
    """Collect the outcomes of answers as those of a single seed."""
    successes, stages = _score(answers)
    falls = np.array([answer.falls for answer in answers], np.float64)
    parsed, legal = np.minimum(stages, 1), np.maximum(stages - 1, 0)
    return Scores(successes[None], parsed[None], legal[None], falls)


def _score_cell(cell: CellResult | None, scenes: int) -> tuple[Floats, Floats]:
    """Collect the successes and stages of a cell's answers; NaN without one."""
    if cell is None:
        return np.full(scenes, np.nan), np.full(scenes, np.nan)
    return _score(cell.answers)


def _score(answers: Sequence[Answer]) -> tuple[Floats, Floats]:
    return (
        np.array([answer.success for answer in answers], np.float64),
        np.array([STAGES[answer.status] for answer in answers], np.float64),
    )
