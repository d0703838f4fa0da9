"""Verdicts: each case of a claim is judged by its interval, then all cases are combined.

A case is a pair of tasks, or of models, and its effect an increase over the best of its references.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from physrl.evaluation.contrast import FEWEST_SEEDS, Contrast
from physrl.evaluation.estimate import Estimate
from physrl.evaluation.statistics import CONFIDENCE

Verdict = Literal["supported", "contradicted", "mixed", "too little data", "not testable"]
Criterion = Literal[
    "increase", "no increase", "decrease", "no decrease", "no difference", "difference"
]
"""What a claim says of an effect, relative to the smallest that matters."""
Quantifier = Literal["every", "some"]
"""Whether a claim is about every case, or about at least one."""
Finding = Literal["holds", "fails", "undecided", "not testable"]
"""What a case says of a claim's criterion."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A precondition of a case: open, closed (the case is not testable), or undecided."""

    state: Literal["open", "closed", "undecided"] = "open"
    reason: str = ""


OPEN = Gate()


@dataclass(frozen=True, slots=True)
class Case:
    """An effect that a claim is about: an increase over each of several references."""

    name: str
    contrasts: tuple[tuple[str, Contrast], ...] = ()
    """Increases by the reference's name, the default one first; empty without results."""
    gate: Gate = OPEN


@dataclass(frozen=True, slots=True)
class Need:
    """Larger samples with which a case would be decided, were its value the same."""

    seeds: int | None = None
    """Seeds, with as many scenes; None if no number of them would."""
    scenes: int | None = None
    """Scenes, with as many seeds; None if no number of them would."""


@dataclass(frozen=True, slots=True)
class JudgedCase:
    """A case with its effect and what it says of the claim."""

    name: str
    finding: Finding
    effect: Estimate | None = None
    """Increase over the best reference, with its interval simultaneous over all cases."""
    reference: str = ""
    """The best reference."""
    reason: str = ""
    """Reason why it is not testable or undecided."""
    need: Need = field(default_factory=Need)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a claim, and its cases."""

    verdict: Verdict
    cases: tuple[JudgedCase, ...]

    def with_finding(self, finding: Finding) -> list[JudgedCase]:
        """List the cases with a finding."""
        return [case for case in self.cases if case.finding == finding]


def judge(
    cases: Sequence[Case], criterion: Criterion, quantifier: Quantifier, smallest: float
) -> Judgement:
    """Judge all cases, with intervals that hold simultaneously, and combine them.

    Every planned case counts for the simultaneous confidence (Šidák 1967), testable or not, so that
    the family is fixed before results are seen.
    """
    if not cases:
        return Judgement("not testable", ())
    confidence = CONFIDENCE ** (1 / len(cases))
    judged = tuple(_judge_case(case, criterion, smallest, confidence) for case in cases)
    return Judgement(_combine([case.finding for case in judged], quantifier), judged)


def _judge_case(case: Case, criterion: Criterion, smallest: float, confidence: float) -> JudgedCase:
    if case.gate.state == "closed":
        return JudgedCase(case.name, "not testable", reason=case.gate.reason)
    if not case.contrasts:
        return JudgedCase(case.name, "undecided", reason="results are missing")
    effect, reference, nearest = _smallest_increase(case, confidence)
    if not all(contrast.enough_seeds for _, contrast in case.contrasts):
        reason = f"fewer than {FEWEST_SEEDS} seeds"
        need = Need(seeds=FEWEST_SEEDS)
        return JudgedCase(case.name, "undecided", effect, reference, reason, need)
    if case.gate.state == "undecided":
        return JudgedCase(case.name, "undecided", effect, reference, case.gate.reason)
    finding = _finding(effect, criterion, smallest)
    need = Need()
    if finding == "undecided":
        bound = _nearest_bound(effect.value, criterion, smallest)
        need = Need(
            nearest.seeds_needed(bound, confidence), nearest.scenes_needed(bound, confidence)
        )
    return JudgedCase(case.name, finding, effect, reference, need=need)


def _smallest_increase(case: Case, confidence: float) -> tuple[Estimate, str, Contrast]:
    """Estimate the increase over the best of a case's references.

    It is below an increase over any reference; for all upper limits to hold at once, the default
    reference has half of their error and the others share the rest. All lower limits hold if that
    of the best reference does.
    """
    reference, nearest = min(case.contrasts, key=lambda each: each[1].value)
    others = len(case.contrasts) - 1
    error = 1 - confidence
    low = min(contrast.interval(confidence).low for _, contrast in case.contrasts)
    high = min(
        contrast.interval(1 - error * _share(number, others)).high
        for number, (_, contrast) in enumerate(case.contrasts)
    )
    value = nearest.value
    return Estimate(value, low, max(high, value), nearest.over), reference, nearest


def _share(number: int, others: int) -> float:
    if not others:
        return 1.0
    return 0.5 if number == 0 else 0.5 / others


def _finding(effect: Estimate, criterion: Criterion, smallest: float) -> Finding:
    above, not_above = effect.low > smallest, effect.high < smallest
    below, not_below = effect.high < -smallest, effect.low > -smallest
    holds, fails = {
        "increase": (above, not_above),
        "no increase": (not_above, above),
        "decrease": (below, not_below),
        "no decrease": (not_below, below),
        "no difference": (not_above and not_below, above or below),
        "difference": (above or below, not_above and not_below),
    }[criterion]
    return "holds" if holds else "fails" if fails else "undecided"


def _nearest_bound(value: float, criterion: Criterion, smallest: float) -> float:
    match criterion:
        case "increase" | "no increase":
            return smallest
        case "decrease" | "no decrease":
            return -smallest
        case _:
            return smallest if value >= 0 else -smallest


def _combine(findings: Sequence[Finding], quantifier: Quantifier) -> Verdict:
    tested = [finding for finding in findings if finding != "not testable"]
    if not tested:
        return "not testable"
    if quantifier == "some" and "holds" in tested:
        return "supported"
    if quantifier == "every" and "holds" in tested and "fails" in tested:
        return "mixed"
    if "undecided" in tested:
        return "too little data"
    return "supported" if "holds" in tested else "contradicted"
