"""From shares of an update's metrics to the metrics of a step."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from physrl.types import Metrics

Reduction = Callable[[Sequence[float]], float]


def combine(shares: Iterable[Metrics]) -> Metrics:
    """Micro-batches' or ranks' shares: their sum.

    Of a key that ends in `min` or `max` it is the smallest or the largest.
    """
    return _reduce(shares, sum)


def average(updates: Iterable[Metrics]) -> Metrics:
    """A step's updates: the mean over those that have the key; extremes as in `combine`."""
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
