"""Success counts with confidence intervals, and significance tests between models."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
Z = 1.96
"""Half-width of a 95 % interval of a normal variable, in standard errors."""
PERMUTATIONS = 9999
TOLERANCE = 1e-9
"""Rounding error up to which two permutation statistics count as equal."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Count:
    """The number of successes among independent trials, at least one.

    Raises:
        ValueError: the successes are negative or more than the total, or the total is 0.
    """

    successes: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.total or self.total < 1:
            raise ValueError(
                f"successes is {self.successes} of {self.total}: must be between 0 and the total"
            )

    @property
    def rate(self) -> float:
        """The success rate."""
        return self.successes / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the success rate."""
        from scipy import stats  # a second that drivers start without

        test = stats.binomtest(self.successes, self.total)
        low, high = test.proportion_ci(confidence_level=CONFIDENCE, method="wilson")
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between two success rates."""

    value: float
    standard_error: float
    """Unpooled standard error of independent samples; zero if both rates are 0 or 1."""


def compare(before: Count, after: Count) -> Difference:
    """Compute the difference of two success rates, after minus before."""
    variance = sum(count.rate * (1 - count.rate) / count.total for count in (before, after))
    return Difference(after.rate - before.rate, math.sqrt(variance))


def paired_test(first: Floats, second: Floats) -> float:
    """Compute the two-sided p value of a difference between two methods on the same scenes.

    With one seed each this is McNemar's exact test; with several it is a permutation test that
    flips the signs of the scenes' mean differences. Both generalize over scenes for the given
    models, not over seeds.

    Args:
        first: successes, seeds x scenes, 0 or 1.
        second: the same shape but for the number of seeds.
    """
    differences = second.mean(axis=0) - first.mean(axis=0)
    if not differences.any():
        return 1.0
    if len(first) == len(second) == 1:
        better, worse = int((differences > 0).sum()), int((differences < 0).sum())
        from scipy import stats

        return float(stats.binomtest(better, better + worse).pvalue)
    permuted = np.abs(_random_signs(len(differences)) @ differences)
    as_extreme = int((permuted >= abs(differences.sum()) - TOLERANCE).sum())
    return (as_extreme + 1) / (PERMUTATIONS + 1)


def adjust_p_values(p_values: Sequence[float]) -> list[float]:
    """Adjust the p values of multiple comparisons to control the false discovery rate.

    Benjamini and Hochberg 1995; it holds under the positive dependence of models that share scenes
    (Benjamini and Yekutieli 2001).
    """
    if not p_values:
        return []
    from scipy import stats

    return [float(p) for p in stats.false_discovery_control(p_values)]


def seed_deviation(successes: Floats) -> float | None:
    """Compute the sample standard deviation of success rates over seeds; None below two seeds.

    Args:
        successes: seeds x scenes; missing seeds are NaN.
    """
    rates = successes.mean(axis=1)
    present = rates[~np.isnan(rates)]
    return float(present.std(ddof=1)) if len(present) > 1 else None


@lru_cache(maxsize=8)
def _random_signs(count: int) -> Floats:
    """Draw random signs, permutations x count.

    They are cached: scipy.stats.permutation_test would draw them anew for every pair of methods.
    """
    return np.random.default_rng(0).choice([-1.0, 1.0], (PERMUTATIONS, count))
