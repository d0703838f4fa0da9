"""Counts of successes, and what they say about the rate behind them; tests between models."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy  # its statistics load when they are first used: a second, which drivers start without
from numpy.typing import NDArray

CONFIDENCE = 0.95
PERMUTATIONS = 9999
ROUNDING = 1e-9
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Count:
    """Successes of a number of independent tries, at least one."""

    successes: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.total or self.total < 1:
            raise ValueError(f"{self.successes} of {self.total} is not a count of successes")

    @property
    def share(self) -> float:
        return self.successes / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the rate."""
        test = scipy.stats.binomtest(self.successes, self.total)
        low, high = test.proportion_ci(confidence_level=CONFIDENCE, method="wilson")
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher a second rate is than a first."""

    value: float
    standard_error: float
    """Of independent samples, unpooled; zero where both shares are 0 or 1."""


def compare(before: Count, after: Count) -> Difference:
    """The difference of two shares, after minus before."""
    variance = sum(count.share * (1 - count.share) / count.total for count in (before, after))
    return Difference(after.share - before.share, math.sqrt(variance))


def paired_test(first: Floats, second: Floats) -> float:
    """Whether two methods' models differ on the same scenes: the two-sided p value.

    Of one seed each, McNemar's exact test; of several, a permutation test of the scenes' mean
    differences, whose signs are as likely either way if the methods are equal. Both speak of other
    scenes and the same models; how much seeds matter, the intervals say.

    Args:
        first: seeds x scenes, 0 or 1.
        second: seeds x scenes, of as many scenes.
    """
    differences = second.mean(axis=0) - first.mean(axis=0)
    if not differences.any():
        return 1.0
    if len(first) == len(second) == 1:
        better, worse = int((differences > 0).sum()), int((differences < 0).sum())
        return float(scipy.stats.binomtest(better, better + worse).pvalue)
    drawn = np.abs(_signs(len(differences)) @ differences)
    as_far = int((drawn >= abs(differences.sum()) - ROUNDING).sum())
    return (as_far + 1) / (PERMUTATIONS + 1)


def corrected(p_values: Sequence[float]) -> list[float]:
    """P values of many comparisons, adjusted so that their share of false ones is bounded.

    Benjamini and Hochberg 1995; models on the same scenes depend on each other positively, under
    which it holds (Benjamini and Yekutieli 2001).
    """
    if not p_values:
        return []
    return [float(p) for p in scipy.stats.false_discovery_control(p_values)]


def seed_deviation(successes: Floats) -> float | None:
    """The sample deviation of the seeds' shares; None of fewer than two.

    Args:
        successes: seeds x scenes; seeds that are missing are NaN.
    """
    shares = successes.mean(axis=1)
    there = shares[~np.isnan(shares)]
    return float(there.std(ddof=1)) if len(there) > 1 else None


@lru_cache(maxsize=8)
def _signs(count: int) -> Floats:
    """Random signs, permutations x count.

    Kept, because scipy.stats.permutation_test draws them anew for every pair of methods.
    """
    return np.random.default_rng(0).choice([-1.0, 1.0], (PERMUTATIONS, count))
