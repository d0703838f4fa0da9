"""Reduction of metrics over micro-batches, ranks and updates."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from physrl.types import Metrics

Reduction = Callable[[Sequence[float]], float]


def combine(shares: Iterable[Metrics]) -> Metrics:
    """Sum the shares of micro-batches or ranks.

    Keys that end in `min` or `max` take the smallest or largest value instead.
    """
    return _reduce(shares, sum)


def average(updates: Iterable[Metrics]) -> Metrics:
    """Average each key over the updates that have it; minima and maxima as in `combine`."""
    return _reduce(updates, fmean)


def _reduce(rows: Iterable[Metrics], usual: Reduction) -> Metrics:
    collected: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            collected[name].append(value)
    return {name: _reduction(name, usual)(values) for name, values in collected.items()}


def _reduction(name: str, usual: Reduction) -> Reduction:
    if name.endswith(("/min", "_min")):
        return min
    return max if name.endswith(("/max", "_max")) else usual
