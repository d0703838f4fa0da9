"""The generalization matrix as it fills: families by task under one protocol."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.watch.studies import StudyView
from physrl.evaluation.estimate import Estimate
from physrl.evaluation.families import Family
from physrl.evaluation.matrix import STATUSES, Entry
from physrl.evaluation.specs import Condition, Subject

MOST_REASONS = 3
"""Different reasons that are shown of one cell."""


@dataclass(frozen=True, slots=True)
class TableCell:
    """The cells of a family's seeds under one condition."""

    rate: Estimate | None
    """Success rate; None before any answers have been read."""
    counts: tuple[tuple[str, int], ...]
    """Number of seeds by status, without those that none has."""
    reasons: tuple[str, ...]
    diagonal: bool
    """Whether the family was trained on the task."""

    @property
    def done(self) -> bool:
        """Whether all seeds have answered."""
        return all(status == "done" for status, _ in self.counts)

    @property
    def words(self) -> str:
        """The statuses in words: `3 done, 1 failed`, or `missing`."""
        if len(self.counts) == 1:
            ((status, count),) = self.counts
            return status if count == 1 else f"{count} {status}"
        return ", ".join(f"{count} {status}" for status, count in self.counts)


@dataclass(frozen=True, slots=True)
class MatrixTable:
    """The cells under one protocol."""

    protocol: str
    protocols: tuple[str, ...]
    """All protocols of the study, to choose from."""
    conditions: tuple[Condition, ...]
    rows: tuple[tuple[Family, tuple[TableCell | None, ...]], ...]
    """Families with their cells; None where none is planned."""


def matrix_table(study: StudyView, protocol: str) -> MatrixTable:
    """Arrange a study's cells under a protocol, or under the first one if it is unknown."""
    protocols = tuple(dict.fromkeys(each.protocol for each in study.matrix.conditions))
    chosen = protocol if protocol in protocols else next(iter(protocols), "")
    conditions = tuple(each for each in study.matrix.conditions if each.protocol == chosen)
    rows = []
    for family, subjects in study.index.families.items():
        cells = tuple(_cell(study, family, subjects, condition) for condition in conditions)
        if any(cells):
            rows.append((family, cells))
    return MatrixTable(chosen, protocols, conditions, tuple(rows))


def _cell(
    study: StudyView, family: Family, subjects: Sequence[Subject], condition: Condition
) -> TableCell | None:
    found = [study.matrix.find(subject, condition) for subject in subjects]
    entries = [entry for entry in found if entry is not None]
    if not entries:
        return None
    judgement = study.reading.judgement
    counts = Counter(entry.status for entry in entries)
    return TableCell(
        rate=None if judgement is None else judgement.rate((family, condition)),
        counts=tuple((status, counts[status]) for status in STATUSES if counts[status]),
        reasons=_reasons(study, entries),
        diagonal=condition.task in family.trained_on,
    )


def _reasons(study: StudyView, entries: Sequence[Entry]) -> tuple[str, ...]:
    """List why cells are missing or failed, or cannot be read."""
    problems = study.reading.problems
    reasons = [entry.reason or problems.get(entry.cell.key, "") for entry in entries]
    return tuple(dict.fromkeys(filter(None, reasons)))[:MOST_REASONS]
