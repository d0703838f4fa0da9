"""Metrics of a trial's run over its steps, thinned out to what a chart can show."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from physrl.types import Metrics

MOST_POINTS = 120
"""Most steps that are kept; a chart is a few hundred pixels wide."""
Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class TrialCurves:
    """A trial's metrics by name, in single precision."""

    seconds: float
    """Duration of training so far."""
    steps: int
    """Last step."""
    step_s: float | None
    """Median duration of a step in seconds; None if it was not measured."""
    at: Numbers
    """Steps of the values below."""
    values: Mapping[str, Numbers]
    """Values by metric; NaN where a step lacks it."""

    def last(self, name: str) -> float | None:
        """Return a metric's last value; None without any."""
        values = self.values.get(name)
        if values is None:
            return None
        present = values[~np.isnan(values)]
        return float(present[-1]) if len(present) else None


def thin_out(rows: Sequence[Metrics], seconds: float) -> TrialCurves:
    """Keep every n-th row and the last."""
    every = -(-len(rows) // MOST_POINTS) or 1
    kept = [*rows[:-1:every], *rows[-1:]]
    names = dict.fromkeys(name for row in kept for name in row if name not in ("step", "time"))
    return TrialCurves(
        seconds,
        int(rows[-1]["step"]) if rows else 0,
        median_time(rows),
        np.array([row["step"] for row in kept], np.float32),
        {name: np.array([_number(row.get(name)) for row in kept], np.float32) for name in names},
    )


def median_time(rows: Sequence[Metrics]) -> float | None:
    """Return the median duration of some steps in seconds; None without any."""
    times = [_number(row.get("time/step_s")) for row in rows]
    known = [seconds for seconds in times if math.isfinite(seconds)]
    return median(known) if known else None


def smooth(values: Numbers, window: int) -> Numbers:
    """Compute the centered mean over `window` values, without those that are NaN."""
    if window < 2:
        return values
    reach = window // 2
    parts = (values[max(0, at - reach) : at + reach + 1] for at in range(len(values)))
    means = [
        float(np.mean(known)) if len(known := part[~np.isnan(part)]) else np.nan for part in parts
    ]
    return np.array(means, np.float32)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
