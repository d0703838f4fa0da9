"""Tables of a study's report: success by family and task, transfer, adaptation."""

from collections.abc import Sequence
from dataclasses import dataclass

from physrl.evaluation.adaptation import AdaptationCurve, area_under, samples_saved
from physrl.evaluation.estimate import Estimate
from physrl.evaluation.families import Family, family_of
from physrl.evaluation.people import PeopleGroup
from physrl.evaluation.people_scores import people_success
from physrl.evaluation.results import CellResult
from physrl.evaluation.scores import Scores
from physrl.evaluation.specs import Condition
from physrl.evaluation.study_results import StudyResults


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """The results of one family under one condition."""

    rate: Estimate | None
    """Success rate; None without results."""
    told_apart: str
    """Shares of parsed and of legal answers, and success given a legal one; empty if all are legal.
    """
    status: str
    """`done`, the status of the first seed that is not, or empty if the cell is not planned."""
    seeds: str
    """Number of completed and planned seeds if some are missing."""
    reason: str
    """Reasons why seeds are missing."""
    diagonal: bool
    """True for a task that the family was trained on."""


@dataclass(frozen=True, slots=True)
class MatrixTable:
    """Families against tasks under one evaluation protocol."""

    protocol: str
    tasks: tuple[str, ...]
    rows: tuple[tuple[Family, tuple[MatrixCell, ...]], ...]


@dataclass(frozen=True, slots=True)
class TransferRow:
    """Gains of a family on its trained task and on all others."""

    family: Family
    diagonal: Estimate | None
    off_diagonal: Estimate | None
    ratio: Estimate | None
    seed_deviation: float | None


@dataclass(frozen=True, slots=True)
class AdaptationRow:
    """Adaptation of a family to another task, compared with the base's."""

    family: Family
    task: str
    area: float
    """Mean accuracy over steps and seeds."""
    area_of_base: float | None
    saved: float | None
    """Mean number of demonstrations fewer than the base needs for its own best accuracy; None if a
    seed never reaches it."""


def matrix_tables(results: StudyResults) -> tuple[MatrixTable, ...]:
    """Make a table for each evaluation protocol, in the plan's order."""
    by_protocol: dict[str, list[Condition]] = {}
    for condition in results.matrix.conditions:
        by_protocol.setdefault(condition.protocol, []).append(condition)
    return tuple(
        _matrix_table(results, protocol, conditions) for protocol, conditions in by_protocol.items()
    )


def transfer_rows(results: StudyResults) -> tuple[TransferRow, ...]:
    """Make a row for each family on the diagonal."""
    generalization = results.generalization
    rows = []
    for family, condition in results.diagonal:
        others = [cell for cell in results.off_diagonal if cell[0] == family]
        rows.append(
            TransferRow(
                family=family,
                diagonal=generalization.gain([(family, condition)]),
                off_diagonal=generalization.gain(others),
                ratio=generalization.transfer_ratio([(family, condition)], others),
                seed_deviation=generalization.seed_deviation(family, condition),
            )
        )
    return tuple(rows)


def adaptation_rows(results: StudyResults) -> tuple[AdaptationRow, ...]:
    """Make a row for each trained family and task that it adapted to."""
    curves: dict[tuple[Family, str], list[AdaptationCurve]] = {}
    for spec in results.plan.adaptations:
        curve = results.adaptations.get(spec.key)
        if curve is not None:
            curves.setdefault((family_of(spec.subject), spec.task), []).append(curve)
    rows = []
    for (family, task), seeds in curves.items():
        if family.kind == "base":
            continue
        base = results.generalization.base_of(family)
        base_curves = [] if base is None else curves.get((base, task), [])
        saved = [
            samples_saved(each, base_curve)
            for each, base_curve in zip(seeds, base_curves, strict=False)
        ]
        reached = [count for count in saved if count is not None]
        rows.append(
            AdaptationRow(
                family=family,
                task=task,
                area=sum(map(area_under, seeds)) / len(seeds),
                area_of_base=_mean(list(map(area_under, base_curves))),
                saved=_mean(reached) if len(reached) == len(seeds) else None,
            )
        )
    return tuple(rows)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _matrix_table(
    results: StudyResults, protocol: str, conditions: Sequence[Condition]
) -> MatrixTable:
    rows = []
    for family in results.generalization.families:
        cells = tuple(_matrix_cell(results, family, condition) for condition in conditions)
        if any(cell.status for cell in cells):
            rows.append((family, cells))
    for group in results.people:
        cells = tuple(_people_cell(group, condition) for condition in conditions)
        if any(cell.rate for cell in cells):
            rows.append((group.family, cells))
    return MatrixTable(protocol, tuple(condition.task for condition in conditions), tuple(rows))


def _matrix_cell(results: StudyResults, family: Family, condition: Condition) -> MatrixCell:
    entries = [
        entry
        for subject in results.plan.subjects
        if family_of(subject) == family
        and (entry := results.matrix.find(subject, condition)) is not None
    ]
    unfinished = [entry for entry in entries if entry.status != "done"]
    status = unfinished[0].status if unfinished else "done" if entries else ""
    done = len(entries) - len(unfinished)
    return MatrixCell(
        rate=results.generalization.success_rate(family, condition),
        told_apart=_told_apart(results.generalization.scores.get((family, condition))),
        status=status,
        seeds=f"{done} of {len(entries)} seeds" if unfinished and len(entries) > 1 else "",
        reason="; ".join(dict.fromkeys(entry.reason for entry in unfinished if entry.reason)),
        diagonal=condition.task in family.trained_on,
    )


def _people_cell(group: PeopleGroup, condition: Condition) -> MatrixCell:
    """Make the cell of a group of people; one that they were not asked about is not planned."""
    persons = group.persons(condition)
    answers = [answer for each in persons.values() for answer in each]
    scores = CellResult(condition, tuple(answers)).scores.of_single_seed
    told = _told_apart(scores) if answers else ""
    counted = f"{len(persons)} people" if persons else ""
    return MatrixCell(
        rate=people_success(group, condition),
        told_apart="; ".join(text for text in (counted, told) if text),
        status="done" if answers else "",
        seeds="",
        reason="",
        diagonal=False,
    )


def _told_apart(scores: Scores | None) -> str:
    if scores is None or scores.legal_share == 1:
        return ""
    given = scores.success_if_legal
    success = "no legal answer" if given is None else f"{given:.0%} of legal"
    return f"form {scores.parsed_share:.0%}, legal {scores.legal_share:.0%}: {success}"
