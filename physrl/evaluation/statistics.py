"""Success counts with confidence intervals, and significance tests between models."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
Z = 1.96
"""Half-width of a 95 % interval of a normal variable, in standard errors."""
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
    """The difference between two success rates on the same scenes, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """True if the interval excludes 0."""
        return self.low > 0 or self.high < 0


def paired_difference(lost: int, gained: int, total: int) -> Difference:
    """Compute the difference of two success rates on the same scenes, after minus before.

    The interval is the adjusted Wald interval of Bonett and Price (2012), which has a positive
    width for any number of scenes, also where no answer differs.

    Args:
        lost: scenes with a success before, and none after.
        gained: scenes with a success after, and none before.
        total: scenes in all.
    """
    worse, better = (lost + 1) / (total + 2), (gained + 1) / (total + 2)
    middle = better - worse
    half = Z * math.sqrt((worse + better - middle**2) / (total + 2))
    return Difference((gained - lost) / total, max(-1.0, middle - half), min(1.0, middle + half))


def adjust_p_values(p_values: Sequence[float]) -> list[float]:
    """Adjust the p values of a family of tests so that all hold at once (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted


def seed_deviation(successes: Floats) -> float | None:
    """Compute the sample standard deviation of success rates over seeds; None below two seeds.

    Args:
        successes: seeds x scenes; missing seeds are NaN.
    """
    rates = successes.mean(axis=1)
    present = rates[~np.isnan(rates)]
    return float(present.std(ddof=1)) if len(present) > 1 else None
