"""Bootstrap over two crossed samples at once: training seeds and test scenes.

Every seed's model answers the same scenes, so rows (seeds) and columns (scenes) are resampled
independently, and each mean is taken over the product of both draws (the pigeonhole bootstrap:
McCullagh 2000, Owen 2007). Cells of one column share their scenes in every resample and cells of
one row their seeds, so that differences and ratios are paired. scipy.stats.bootstrap resamples one
level only.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from physrl.evaluation.statistics import CONFIDENCE, Floats

RESAMPLES = 2000

Row = TypeVar("Row", bound=Hashable)
Column = TypeVar("Column", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.2f} ({self.low:+.2f} to {self.high:+.2f})"


def pair_means(successes: Floats) -> Floats:
    """Average seeds x scenes to seeds x pairs of twins, which are independent of each other.

    An odd number of scenes has no pairs and is returned unchanged.
    """
    seeds, scenes = successes.shape
    if scenes % 2:
        return successes
    pairs: Floats = successes.reshape(seeds, scenes // 2, 2).mean(axis=2)
    return pairs


def resample(
    table: Mapping[tuple[Row, Column], Floats], count: int = RESAMPLES, seed: int = 0
) -> dict[tuple[Row, Column], Floats]:
    """Compute the mean of every cell in each resample.

    Args:
        table: cells of seeds x units, units being scenes or pairs. Cells of one row have equally
            many seeds (missing ones are NaN), cells of one column equally many units. A row with a
            single seed has it in every resample.

    Returns:
        `count` means for each cell; NaN if all drawn seeds are missing.

    Raises:
        ValueError: cells of one row or column differ in size.
    """
    rows: dict[Row, int] = {}
    columns: dict[Column, int] = {}
    for (row, column), cell in table.items():
        seeds, units = cell.shape
        if rows.setdefault(row, seeds) != seeds:
            raise ValueError(f"{row}, {column} has {seeds} seeds, not {rows[row]}")
        if columns.setdefault(column, units) != units:
            raise ValueError(f"{row}, {column} has {units} units, not {columns[column]}")
    rng = np.random.default_rng(seed)
    row_weights = {row: _weights(rng, count, size) for row, size in rows.items()}
    column_weights = {column: _weights(rng, count, size) for column, size in columns.items()}
    return {
        (row, column): _weighted_means(cell, row_weights[row], column_weights[column])
        for (row, column), cell in table.items()
    }


def estimate(value: float, resampled: Floats) -> Estimate:
    """Attach the percentile interval of its resamples to a value; NaN if all of them are NaN."""
    tail = 50 * (1 - CONFIDENCE)
    if np.isnan(resampled).all():
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.nanpercentile(resampled, [tail, 100 - tail])
    return Estimate(value, float(low), float(high))


def mean_success(cell: Floats) -> float:
    """Compute the mean over all seeds that are not missing and all units."""
    return float(np.nanmean(cell))


def _weights(rng: np.random.Generator, count: int, size: int) -> Floats:
    """Draw bootstrap weights that sum to 1, count x size."""
    drawn = rng.multinomial(size, np.full(size, 1 / size), count)
    weights: Floats = drawn / size
    return weights


def _weighted_means(cell: Floats, seed_weights: Floats, unit_weights: Floats) -> Floats:
    present = ~np.isnan(cell).any(axis=1)
    weights = seed_weights[:, present]
    sums = ((weights @ cell[present]) * unit_weights).sum(axis=1)
    with np.errstate(invalid="ignore"):
        means: Floats = sums / weights.sum(axis=1)
    return means
