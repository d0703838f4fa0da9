"""Charts as shapes of an SVG: lines over steps, points, parallel axes, stacked bands.

Colors are classes of the style sheet, so that both color schemes have their own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 640, 260
COLORS = 8
"""Classes `k0` to `k7` of the style sheet; further values share the last."""
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """A named line or point with values in the data's units."""

    name: str
    group: str
    """Value of the factor that colors it."""
    points: tuple[Point, ...]
    link: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """A line or point in SVG units."""

    name: str
    color: int
    points: str
    """Coordinates of the line, `x,y x,y`."""
    at: Point
    """Coordinates of the last point."""
    link: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A label on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Shapes with their axes and the meaning of their colors."""

    label: str
    """Description for those who cannot see it."""
    shapes: tuple[Shape, ...]
    x_marks: tuple[Mark, ...]
    y_marks: tuple[Mark, ...]
    legend: tuple[tuple[str, int], ...]
    """Names and colors of the groups."""
    x_name: str = ""
    y_name: str = ""
    bands: tuple[Shape, ...] = ()
    """Areas, drawn below all else."""
    events: tuple[Mark, ...] = ()
    """Vertical lines where something happened."""
    width: int = WIDTH
    height: int = HEIGHT


def draw(
    series: Sequence[Series], label: str, x_name: str, y_name: str, *, log: bool = False
) -> Chart | None:
    """Draw lines, or points where a series has one; None without any finite point.

    Args:
        log: draw steps on a logarithmic axis (of one more, so that 0 has a place).
    """
    scale_x = (lambda x: math.log1p(max(0.0, x))) if log else (lambda x: x)
    finite = [
        (each, [(x, y) for x, y in each.points if math.isfinite(x) and math.isfinite(y)])
        for each in series
    ]
    finite = [(each, points) for each, points in finite if points]
    if not finite:
        return None
    xs = [x for _, points in finite for x, _ in points]
    ys = [y for _, points in finite for _, y in points]
    x_axis = _Axis(scale_x(min(xs)), scale_x(max(xs)), 0, WIDTH)
    y_axis = _Axis(min(ys), max(ys), HEIGHT, 0)
    colors = color_groups([each.group for each, _ in finite])
    shapes = []
    for each, points in finite:
        placed = [(x_axis.place(scale_x(x)), y_axis.place(y)) for x, y in points]
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        shapes.append(Shape(each.name, colors[each.group], text, placed[-1], each.link))
    x_values = sorted(set(xs)) if log else round_values(min(xs), max(xs))
    return Chart(
        label,
        tuple(shapes),
        tuple(Mark(x_axis.place(scale_x(x)), f"{x:g}") for x in x_values),
        tuple(Mark(y_axis.place(y), f"{y:g}") for y in round_values(min(ys), max(ys))),
        tuple(colors.items()),
        x_name,
        y_name,
    )


def draw_parallel(
    axes: Mapping[str, Mapping[str, Any]], series: Sequence[Series], label: str
) -> Chart | None:
    """Draw a line for each trial over parallel axes.

    Args:
        axes: values of each axis by the trial's key, which names its series.
    """
    if len(axes) < 2 or not series:
        return None
    colors = color_groups([each.group for each in series])
    columns = {name: WIDTH * at / (len(axes) - 1) for at, name in enumerate(axes)}
    scales = {name: _Scale(list(values.values())) for name, values in axes.items()}
    shapes = []
    for each in series:
        placed = [
            (x, HEIGHT * (1 - scales[name].share(axes[name].get(each.name))))
            for name, x in columns.items()
            if axes[name].get(each.name) is not None
        ]
        if placed:
            text = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
            shapes.append(Shape(each.name, colors[each.group], text, placed[-1], each.link))
    x_marks = tuple(
        Mark(x, f"{name}: {scales[name].low} to {scales[name].high}") for name, x in columns.items()
    )
    return Chart(label, tuple(shapes), x_marks, (), tuple(colors.items()))


def color_groups(groups: Sequence[str]) -> dict[str, int]:
    """Assign a color to each group, in the order of their names."""
    return {group: min(at, COLORS - 1) for at, group in enumerate(sorted(set(groups)))}


@dataclass(frozen=True, slots=True)
class _Axis:
    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + share * (self.end - self.start)


class _Scale:
    """An axis of numbers by value, or of names by rank."""

    def __init__(self, values: Sequence[Any]) -> None:
        known = {value for value in values if value is not None}
        numbers = all(isinstance(value, int | float) for value in known)
        self._order = sorted(known) if numbers else sorted(known, key=str)
        self._numbers = numbers
        self.low, self.high = (_short(self._order[at]) if known else "" for at in (0, -1))

    def share(self, value: Any) -> float:
        if len(self._order) < 2:
            return 0.5
        if not self._numbers:
            return self._order.index(value) / (len(self._order) - 1)
        low, high = self._order[0], self._order[-1]
        if low > 0 and high / low > 20:  # learning rates
            return math.log(value / low) / math.log(high / low)
        return float((value - low) / (high - low))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def round_values(low: float, high: float) -> list[float]:
    """List up to six round values between two."""
    if high <= low:
        return [low]
    raw = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= raw)
    first = math.ceil(low / step)
    return [round(at * step, 10) for at in range(first, math.floor(high / step) + 1)]
