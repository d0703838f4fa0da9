"""Bootstrap over two crossed samples at once: the seeds of the runs, and the scenes of the tests.

Every seed's model answers about the same scenes, so rows and columns are resampled each on their
own, and a mean is taken over what both choose (the pigeonhole bootstrap: McCullagh 2000, Owen
2007). Models that share a column share its scenes in every resample, cells of a row its seeds:
differences and ratios of them are paired. scipy.stats.bootstrap resamples one level only.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
CONFIDENCE = 0.95

Floats = NDArray[np.float64]
Row = TypeVar("Row", bound=Hashable)
Column = TypeVar("Column", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval: the middle of the resampled ones."""

    value: float
    low: float
    high: float


def by_pairs(successes: Floats) -> Floats:
    """Seeds x scenes to seeds x pairs: twins' answers depend on each other, pairs do not."""
    seeds, scenes = successes.shape
    if scenes % 2:
        return successes
    pairs: Floats = successes.reshape(seeds, scenes // 2, 2).mean(axis=2)
    return pairs


def resample(
    table: Mapping[tuple[Row, Column], Floats], count: int = RESAMPLES, seed: int = 0
) -> dict[tuple[Row, Column], Floats]:
    """The mean of every cell in each resample.

    Args:
        table: cells of seeds x units, units being scenes or pairs. A row's cells have equally many
            seeds, of which those that are missing are NaN; a column's have equally many units. The
            one seed of a row of one is in every resample.

    Returns:
        `count` means for each cell; NaN where no seed that is there was drawn.

    Raises:
        ValueError: cells of a row or a column disagree.
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
    of_rows = {row: _weights(rng, count, size) for row, size in rows.items()}
    of_columns = {column: _weights(rng, count, size) for column, size in columns.items()}
    return {
        (row, column): _means(cell, of_rows[row], of_columns[column])
        for (row, column), cell in table.items()
    }


def estimate(value: float, resampled: Floats) -> Estimate:
    """A figure with the interval of its resampled ones; NaN where there are none."""
    tail = 50 * (1 - CONFIDENCE)
    if np.isnan(resampled).all():
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.nanpercentile(resampled, [tail, 100 - tail])
    return Estimate(value, float(low), float(high))


def mean_of(cell: Floats) -> float:
    """Over the seeds that are there, and all units."""
    return float(np.nanmean(cell))


def _weights(rng: np.random.Generator, count: int, size: int) -> Floats:
    """How often each of `size` things is drawn, as shares: count x size."""
    drawn = rng.multinomial(size, np.full(size, 1 / size), count)
    weights: Floats = drawn / size
    return weights


def _means(cell: Floats, of_seeds: Floats, of_units: Floats) -> Floats:
    there = ~np.isnan(cell).any(axis=1)
    chosen = of_seeds[:, there]
    sums = ((chosen @ cell[there]) * of_units).sum(axis=1)
    with np.errstate(invalid="ignore"):
        means: Floats = sums / chosen.sum(axis=1)
    return means
