"""Comparisons between training methods on the same scenes, with corrected p values."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from physrl.evaluation.families import Family, FamilyCell
from physrl.evaluation.generalization import Generalization
from physrl.evaluation.resampling import Estimate
from physrl.evaluation.specs import Condition
from physrl.evaluation.statistics import adjust_p_values, paired_test


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of two families that differ in their method, on the same scenes."""

    condition: Condition
    first: Family
    second: Family
    difference: Estimate
    """Success rate of the second family minus that of the first."""
    p: float
    """P value, corrected for all comparisons of the study."""


def compare_methods(generalization: Generalization) -> tuple[Comparison, ...]:
    """Compare every two methods, all else equal, under every condition with results of both."""
    cases = [
        (condition, first, second)
        for first, second in combinations(generalization.families, 2)
        if _differ_in_method(first, second)
        for condition in generalization.conditions
        if (first, condition) in generalization.successes
        and (second, condition) in generalization.successes
    ]
    p_values = adjust_p_values(
        [
            _test(generalization, (first, condition), (second, condition))
            for condition, first, second in cases
        ]
    )
    comparisons = []
    for (condition, first, second), p in zip(cases, p_values, strict=True):
        difference = generalization.difference([(first, condition)], [(second, condition)])
        assert difference is not None  # both have results
        comparisons.append(Comparison(condition, first, second, difference, p))
    return tuple(comparisons)


def _differ_in_method(first: Family, second: Family) -> bool:
    return (
        first.kind == second.kind == "trained"
        and first.method != second.method
        and (first.model, first.variant, first.trained_on)
        == (second.model, second.variant, second.trained_on)
    )


def _test(generalization: Generalization, *cells: FamilyCell) -> float:
    successes = [generalization.successes[cell] for cell in cells]
    first, second = (each[~np.isnan(each).any(axis=1)] for each in successes)
    return paired_test(first, second)
