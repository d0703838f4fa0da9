"""A contrast of success rates: its value and the components of its variance."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy  # loads at first use: a second that drivers start without
from numpy.typing import NDArray

from physrl.evaluation.estimate import Estimate, Variation
from physrl.evaluation.statistics import CONFIDENCE

FEWEST_SEEDS = 3
"""Seeds that an interval over seeds needs: the spread of two says almost nothing."""
LEAST_OF_SCENES = 0.8
"""Share of what scenes add to a squared half-width that seeds below chance leave of it."""
MOST_SEEDS, MOST_TIMES_SCENES = 100, 100
"""Largest samples that `seeds_needed` and `scenes_needed` consider."""


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of means over seeds and units (pairs of twins, scenes or photographs)."""

    value: float
    unit_variance: float
    """Variance of the value due to units, including the residual."""
    unit_df: float
    seed_variance: float
    """Variance of the value due to seeds; 0 if there are too few to tell, and below 0 if they
    differ less than by chance."""
    seed_df: float
    residual_variance: float
    """Part of `unit_variance` that shrinks with more seeds."""
    seeds: int | None
    """Fewest seeds of a sample; None if all samples are single models or rules."""
    scenes: int
    """Fewest scenes of a sample."""
    bounds: tuple[tuple[float, int], ...] = ()
    """Weight and units of each sample whose variance vanishes at 0 or 100 %."""

    @property
    def enough_seeds(self) -> bool:
        """True if the interval holds other seeds, as far as there are any."""
        return self.seeds is None or self.seeds >= FEWEST_SEEDS

    @property
    def over(self) -> Variation:
        """The variation that the interval holds."""
        has_seeds = self.seeds is not None and self.seeds >= FEWEST_SEEDS
        return "seeds and scenes" if has_seeds else "scenes"

    @cached_property
    def estimate(self) -> Estimate:
        """The value with its 95 % interval."""
        return self.interval(CONFIDENCE)

    def interval(self, confidence: float) -> Estimate:
        """Return the value with its interval of a given confidence."""
        half = self.half_width(confidence)
        return Estimate(self.value, self.value - half, self.value + half, self.over)

    def half_width(self, confidence: float) -> float:
        """Compute half the width of the interval of a given confidence."""
        return float(self._half_widths(confidence, np.ones(1), np.ones(1))[0])

    @cached_property
    def p_value(self) -> float | None:
        """The two-sided p value of no difference; None with too few seeds.

        It is 1 minus the confidence of the interval that just reaches 0.
        """
        if not self.enough_seeds:
            return None
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            if self.half_width(middle) < abs(self.value):
                low = middle
            else:
                high = middle
        return 1 - low

    def seeds_needed(self, bound: float, confidence: float) -> int | None:
        """Compute the seeds with which the interval would exclude a bound, all else the same.

        None if scenes alone keep it too wide.
        """
        if self.seeds is None:
            return None
        counts = np.arange(max(self.seeds + 1, FEWEST_SEEDS), MOST_SEEDS + 1)
        if self.seeds < FEWEST_SEEDS:
            return FEWEST_SEEDS
        halves = self._half_widths(confidence, counts / self.seeds, np.ones(len(counts)))
        return _first(counts, halves < abs(self.value - bound))

    def scenes_needed(self, bound: float, confidence: float) -> int | None:
        """Compute the scenes with which the interval would exclude a bound, all else the same.

        None if seeds alone keep it too wide.
        """
        times = np.geomspace(1.0, MOST_TIMES_SCENES, 100)
        halves = self._half_widths(confidence, np.ones(len(times)), times)
        return _first(np.ceil(times * self.scenes).astype(int), halves < abs(self.value - bound))

    def scaled(self, factor: float) -> "Contrast":
        """Multiply the contrast by a factor."""
        square = factor * factor
        return replace(
            self,
            value=self.value * factor,
            unit_variance=self.unit_variance * square,
            seed_variance=self.seed_variance * square,
            residual_variance=self.residual_variance * square,
            bounds=tuple((weight * abs(factor), units) for weight, units in self.bounds),
        )

    def _half_widths(
        self, confidence: float, seeds: NDArray[np.float64], units: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Compute half-widths with more seeds and units, as multiples of the present numbers."""
        tail = (1 + confidence) / 2
        scene_part = max(0.0, self.unit_variance - self.residual_variance)
        residual = min(self.residual_variance, self.unit_variance)
        quantile = scipy.special.stdtrit
        scenes = quantile(self.unit_df * units, tail) ** 2 * (scene_part + residual / seeds) / units
        square = scenes
        if self.seed_variance != 0:
            present = self.seeds or FEWEST_SEEDS
            seed_df = self.seed_df * (present * seeds - 1) / (present - 1)
            added = quantile(seed_df, tail) ** 2 * self.seed_variance / seeds
            square = np.maximum(scenes + added, LEAST_OF_SCENES * scenes)
        for weight, size in self.bounds:
            square = square + (weight * (1 - (1 - tail) ** (1 / (size * units)))) ** 2
        halves: NDArray[np.float64] = np.sqrt(square)
        return halves


def _first(counts: NDArray[np.int64], enough: NDArray[np.bool_]) -> int | None:
    found = counts[enough]
    return int(found[0]) if len(found) else None
