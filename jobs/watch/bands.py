"""Charts of parts that add up, stacked over steps, with marks where something happened."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.watch.charts import HEIGHT, WIDTH, Chart, Mark, Shape, color_groups, round_values

MOST_BINS = 160
"""Steps side by side; of a longer run, as many bins of several steps, with their means."""

MOST_TEXTS = 4
"""Events that a mark names."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a step."""

    step: int
    text: str


@dataclass(frozen=True, slots=True)
class _Bin:
    """Steps that are drawn as one."""

    first: int
    last: int
    parts: dict[str, float]
    """Means over the steps."""


def draw_bands(
    rows: Sequence[tuple[int, Mapping[str, float]]],
    events: Sequence[Event],
    label: str,
    y_name: str,
) -> Chart | None:
    """Draw the parts of each step upon one another, the largest below; None without any.

    Args:
        rows: steps in order, each with the size of its parts, at least 0.
        events: what happened at some of these steps.
    """
    bins = _bins(rows)
    totals: dict[str, float] = {}
    for each in bins:
        for name, value in each.parts.items():
            totals[name] = totals.get(name, 0.0) + value
    highest = max((sum(each.parts.values()) for each in bins), default=0.0)
    if not 0 < highest < math.inf:
        return None
    names = sorted(totals, key=lambda name: (-totals[name], name))
    colors = color_groups(names)
    edges = _edges(bins)
    shapes, below = [], [0.0] * len(bins)
    for name in names:
        above = [low + each.parts.get(name, 0.0) for low, each in zip(below, bins, strict=True)]
        points = _outline(edges, below, above, highest)
        shapes.append(Shape(name, colors[name], points, (0.0, 0.0), ""))
        below = above
    first, last = bins[0].first, bins[-1].last
    return Chart(
        label,
        (),
        tuple(Mark(_place(step, first, last), f"{step:g}") for step in _whole(first, last)),
        tuple(Mark(HEIGHT * (1 - y / highest), f"{y:g}") for y in round_values(0.0, highest)),
        tuple((name, colors[name]) for name in names),
        "step",
        y_name,
        bands=tuple(shapes),
        events=_marks(events, first, last),
    )


def _bins(rows: Sequence[tuple[int, Mapping[str, float]]]) -> list[_Bin]:
    every = -(-len(rows) // MOST_BINS) or 1
    bins = []
    for at in range(0, len(rows), every):
        steps = [step for step, _ in rows[at : at + every]]
        parts: dict[str, float] = {}
        for _, row in rows[at : at + every]:
            for name, value in row.items():
                parts[name] = parts.get(name, 0.0) + value / len(steps)
        bins.append(_Bin(min(steps), max(steps), parts))
    return bins


def _edges(bins: Sequence[_Bin]) -> list[tuple[float, float]]:
    """Return where each bin begins and ends; a step reaches half a step to both sides."""
    first, last = bins[0].first, bins[-1].last
    return [(_place(b.first - 0.5, first, last), _place(b.last + 0.5, first, last)) for b in bins]


def _outline(
    edges: Sequence[tuple[float, float]],
    below: Sequence[float],
    above: Sequence[float],
    highest: float,
) -> str:
    """Go along the upper edge of a band as stairs, and back along the lower one."""

    def stairs(heights: Sequence[float]) -> list[tuple[float, float]]:
        return [
            (x, HEIGHT * (1 - height / highest))
            for edge, height in zip(edges, heights, strict=True)
            for x in edge
        ]

    points = [*stairs(above), *reversed(stairs(below))]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _marks(events: Sequence[Event], first: int, last: int) -> tuple[Mark, ...]:
    """Place the events; those that fall on the same pixel share a mark."""
    texts: dict[int, list[str]] = {}
    for event in events:
        texts.setdefault(round(_place(event.step, first, last)), []).append(event.text)
    return tuple(Mark(float(at), "; ".join(found[:MOST_TEXTS])) for at, found in texts.items())


def _place(step: float, first: int, last: int) -> float:
    return WIDTH * _share(step, first - 0.5, last + 0.5)


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _whole(first: int, last: int) -> list[float]:
    return [step for step in round_values(first, last) if step == int(step)]
