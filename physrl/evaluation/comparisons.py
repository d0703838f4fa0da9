"""Comparisons between training methods on the same scenes, with corrected p values."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from physrl.evaluation.contrast import Contrast
from physrl.evaluation.estimate import Estimate
from physrl.evaluation.families import Family
from physrl.evaluation.generalization import Generalization
from physrl.evaluation.specs import Condition
from physrl.evaluation.statistics import adjust_p_values


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of two families that differ in their method, on the same scenes."""

    condition: Condition
    first: Family
    second: Family
    difference: Estimate
    """Success rate of the second family minus that of the first."""
    p: float | None
    """P value, corrected for all comparisons of the protocol; None with too few seeds."""


def compare_methods(generalization: Generalization) -> tuple[Comparison, ...]:
    """Compare every two methods, all else equal, under every condition with results of both.

    The family of tests is fixed by the plan: all comparisons of a protocol, made or not.
    """
    planned = [
        (first, second)
        for first, second in combinations(generalization.families, 2)
        if _differ_in_method(first, second)
    ]
    by_protocol: dict[str, list[Condition]] = {}
    for condition in generalization.conditions:
        by_protocol.setdefault(condition.protocol, []).append(condition)
    comparisons: list[Comparison] = []
    for conditions in by_protocol.values():
        cases = [(each, first, second) for first, second in planned for each in conditions]
        contrasts = [
            generalization.contrast({(second, condition): 1.0, (first, condition): -1.0})
            for condition, first, second in cases
        ]
        p_values = _corrected(contrasts)
        comparisons += [
            Comparison(*case, contrast.estimate, p)
            for case, contrast, p in zip(cases, contrasts, p_values, strict=True)
            if contrast is not None
        ]
    return tuple(comparisons)


def _corrected(contrasts: Sequence[Contrast | None]) -> list[float | None]:
    """Adjust the p values of contrasts; those that are missing count as tests all the same."""
    raw = [None if contrast is None else contrast.p_value for contrast in contrasts]
    adjusted = adjust_p_values([1.0 if p is None else p for p in raw])
    return [None if p is None else value for p, value in zip(raw, adjusted, strict=True)]


def _differ_in_method(first: Family, second: Family) -> bool:
    return (
        first.kind == second.kind == "trained"
        and first.method != second.method
        and (first.model, first.variant, first.trained_on)
        == (second.model, second.variant, second.trained_on)
    )
