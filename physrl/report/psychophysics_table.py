"""Table of a study's psychophysics: how families' verdicts depend on the tower's margin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from physrl.evaluation.estimate import Estimate
from physrl.evaluation.families import Family, group_families
from physrl.evaluation.people_scores import agreement, successes_of
from physrl.evaluation.psychophysics import (
    Curve,
    Detection,
    beliefs_of,
    calibrate,
    detect,
    detect_by_belief,
    fit_curve,
    over_seeds,
    verdicts_of,
)
from physrl.evaluation.results import Answer, CellResult
from physrl.evaluation.specs import Condition, Subject
from physrl.evaluation.study_results import StudyResults

STABILITY = Condition("stability")
Value = Estimate | float | None


@dataclass(frozen=True, slots=True)
class PsychophysicsRow:
    """The verdicts of a family on held-out towers; each value is a mean over seeds.

    A value is None if no seed has it, because all verdicts are equal for instance, and a number
    without an interval below three seeds.
    """

    family: Family
    threshold: Value
    slope: Value
    sensitivity: Value
    bias: Value
    graded: Value
    """Sensitivity d_a from the probabilities of *Yes* and *No*."""
    brier: Value
    calibration_error: Value
    consistency: Value
    """Cohen's kappa of successes with the base's."""


def psychophysics_rows(results: StudyResults) -> tuple[PsychophysicsRow, ...]:
    """Make a row for each family with verdicts on towers."""
    rows = []
    for family, subjects in group_families(results.plan.subjects).items():
        cells = _cells(results, subjects)
        if any(answer.margin is not None for cell in cells for answer in cell.answers):
            rows.append(_row(results, family, [cell.answers for cell in cells]))
    for group in results.people:
        persons = list(group.persons(STABILITY).values())
        if persons:
            rows.append(_row(results, group.family, persons))
    return tuple(rows)


def _row(
    results: StudyResults, family: Family, members: Sequence[Sequence[Answer]]
) -> PsychophysicsRow:
    """Make the row of a family's seeds, or of a group's persons."""
    verdicts = [verdicts_of(answers) for answers in members]
    curves = [fit_curve(margins, answered) for margins, _, answered in verdicts]
    beliefs = [beliefs_of(answers) for answers in members]
    calibrated = [calibrate(*each) for each in beliefs]
    found = [detect(falls, answered) for _, falls, answered in verdicts]

    def curve(value: Callable[[Curve], float | None]) -> Value:
        return over_seeds([None if each is None else value(each) for each in curves])

    def detection(value: Callable[[Detection], float]) -> Value:
        return over_seeds([None if each is None else value(each) for each in found])

    return PsychophysicsRow(
        family=family,
        threshold=curve(lambda each: each.threshold),
        slope=curve(lambda each: each.slope),
        sensitivity=detection(lambda each: each.sensitivity),
        bias=detection(lambda each: each.bias),
        graded=over_seeds([detect_by_belief(*each) for each in beliefs]),
        brier=over_seeds([None if each is None else each.brier for each in calibrated]),
        calibration_error=over_seeds([None if each is None else each.error for each in calibrated]),
        consistency=over_seeds(_consistencies(results, family, members)),
    )


def _consistencies(
    results: StudyResults, family: Family, members: Sequence[Sequence[Answer]]
) -> list[float | None]:
    base = results.generalization.base_of(family)
    if family.kind == "people":  # compared with the first base
        base = next((each for each in results.generalization.families if each.kind == "base"), None)
    if family.kind == "base" or base is None:
        return []
    subjects = group_families(results.plan.subjects)[base]
    of_base = _cells(results, subjects)
    if not of_base:
        return []
    reference = successes_of(of_base[0].answers)
    return [agreement(successes_of(answers), reference) for answers in members]


def _cells(results: StudyResults, subjects: Sequence[Subject]) -> list[CellResult]:
    entries = [results.matrix.find(subject, STABILITY) for subject in subjects]
    cells = [None if entry is None else results.cells.get(entry.cell.key) for entry in entries]
    return [cell for cell in cells if cell is not None]
