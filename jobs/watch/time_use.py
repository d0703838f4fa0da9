"""Where a run's time goes: the phases of its steps, idle actors, faults."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from jobs.watch.bands import Event, draw_bands
from jobs.watch.charts import Chart, Series, draw
from jobs.watch.trial_curves import MOST_POINTS
from physrl.types import Metrics

STEP, IDLE = "time/step_s", "idle/"
OUTSIDE = ("loading", "saving", "uploading")
"""Phases between steps, which are no part of a step's time."""
REST = "rest of the step"
MOST_FAULTS = 20
"""Faults that are named, the last first."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What failed in a step, and was recovered from."""

    step: int
    at: str
    """Time of the step's end, in UTC; empty if it is unknown."""
    text: str


def phases_chart(history: Sequence[Metrics], found: Sequence[Fault]) -> Chart | None:
    """Draw the seconds of each step by phase, with its faults as marks."""
    rows = [(int(row["step"]), _phases(row)) for row in history]
    if all(set(parts) <= {REST} for _, parts in rows):
        return None  # only the whole is known
    events = [Event(fault.step, f"step {fault.step}: {fault.text}") for fault in found]
    label = f"seconds of each step by phase, {len(found)} steps with faults"
    return draw_bands(rows, events, label, "Seconds of a step")


def idle_chart(history: Sequence[Metrics]) -> Chart | None:
    """Draw the share of each step in which the actors of each kind were idle."""
    every = -(-len(history) // MOST_POINTS) or 1
    shown = [*history[:-1:every], *history[-1:]]
    names = dict.fromkeys(name for row in shown for name in row if name.startswith(IDLE))
    series = [
        Series(
            name,
            name.removeprefix(IDLE).replace("_", " "),
            tuple((row["step"], 100 * row[name]) for row in shown if name in row),
        )
        for name in names
    ]
    return draw(series, "share of each step in which actors were idle", "step", "Percent idle")


def faults(history: Sequence[Metrics]) -> list[Fault]:
    """List the steps in which something failed, in order."""
    found = []
    for row in history:
        if texts := _faults(row):
            found.append(Fault(int(row["step"]), _time(row.get("time")), ", ".join(texts)))
    return found


def _phases(row: Metrics) -> dict[str, float]:
    seconds = {
        name.removeprefix("time/").removesuffix("_s").replace("_", " "): max(0.0, value)
        for name, value in row.items()
        if name.startswith("time/") and name.endswith("_s") and name != STEP
    }
    within = sum(value for name, value in seconds.items() if name not in OUTSIDE)
    rest = row.get(STEP, 0.0) - within
    return seconds | ({REST: rest} if rest > 0 else {})


def _faults(row: Metrics) -> list[str]:
    texts = []
    for name, count in row.items():
        if count > 0 and name.startswith("faults/") and name.endswith("_restarts"):
            actors = name.removeprefix("faults/").removesuffix("_restarts")
            recovery = row.get(f"faults/{actors}_recovery_s")
            after = "" if recovery is None else f" after up to {recovery:.1f} s"
            texts.append(f"{actors.replace('_', ' ')} replaced{after} ({count:g})")
    if count := row.get("faults/quarantined_scenes", 0.0):
        texts.append(f"scenes left out ({count:g})")
    if count := row.get("guard/skipped_updates", 0.0):
        texts.append(f"updates skipped ({count:g})")
    return texts


def _time(seconds: float | None) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds or math.nan, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return ""
