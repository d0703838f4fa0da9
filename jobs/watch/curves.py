"""Curves of a run's metrics as points of an SVG polyline."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from physrl.types import Metrics

WIDTH, HEIGHT = 320, 100
"""Size of the drawing in SVG units."""
MOST_POINTS = 320
SHOWN = (
    "reward",
    "loss",
    "parse/failure_rate",
    "entropy",
    "kl",
    "clip_ratio/region_mean",
    "policy/staleness",
    "completions/mean_length",
    "time/step_s",
)


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric over the steps."""

    name: str
    points: str
    """Coordinates for an SVG polyline."""
    last: float
    low: float
    high: float
    first_step: int
    last_step: int


def curves(history: Sequence[Metrics]) -> list[Curve]:
    """Draw the metrics that the run has: success rates of tasks first."""
    present = dict.fromkeys(name for row in history for name in row)
    rates = [name for name in present if name.startswith("task/") and name.endswith("/accuracy")]
    drawn = (_curve(name, history) for name in (*rates, *SHOWN) if name in present)
    return [curve for curve in drawn if curve is not None]


def _curve(name: str, history: Sequence[Metrics]) -> Curve | None:
    """Draw one metric; values that are not finite are left out."""
    pairs = [
        (int(row["step"]), float(row[name]))
        for row in history
        if isinstance(row.get(name), int | float) and math.isfinite(row[name])
    ]
    if not pairs:
        return None
    steps, values = [step for step, _ in pairs], [value for _, value in pairs]
    low, high = min(values), max(values)
    every = -(-len(pairs) // MOST_POINTS)
    points = " ".join(
        f"{WIDTH * _share(step, steps[0], steps[-1]):.1f},"
        f"{HEIGHT * (1 - _share(value, low, high)):.1f}"
        for step, value in (*pairs[:-1:every], pairs[-1])
    )
    return Curve(name, points, values[-1], low, high, steps[0], steps[-1])


def _share(value: float, low: float, high: float) -> float:
    """Map a value to between 0 and 1; to the middle if all values are equal."""
    return (value - low) / (high - low) if high > low else 0.5
