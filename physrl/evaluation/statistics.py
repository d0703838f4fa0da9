"""Counts of successes, and what they say about the rate behind them."""

import math
from dataclasses import dataclass

from scipy.stats import binomtest

CONFIDENCE = 0.95


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
        test = binomtest(self.successes, self.total)
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
