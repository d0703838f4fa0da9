"""Shared parts of the report's figures: style, panels, axes, legends, conversion to SVG."""

import io
from collections.abc import Sequence

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#010203"
"""Placeholder color that the page's text color replaces."""
STYLE = {
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "svg.hashsalt": "physrl",
    "text.parse_math": False,  # names of policies may hold dollars
}
WIDTH = 11.5
"""Width of a figure that fills the page, in inches."""
CHANCE = 0.5
"""Expected accuracy of random answers to yes-no questions."""
DASHED, DOTTED = (0, (4, 3)), (0, (1, 2))

styled = matplotlib.rc_context(STYLE)
"""Decorator of functions that draw in the report's style."""


def make_panels(
    count: int, columns: int, row_height: float, *, extra_height: float = 0.0, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels in at most `columns` columns; a single one is as wide as two.

    Args:
        columns: number of panels across a figure that fills the page.
        row_height: height of a row in inches.
        extra_height: height of a legend below or above the panels in inches.
    """
    used = min(columns, count)
    rows = -(-count // used)
    size = (WIDTH * max(used, 2) / columns, row_height * rows + extra_height)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, used, squeeze=False, sharey=sharey).ravel()
    for axes in panels[count:]:
        axes.remove()
    return figure, list(panels[:count])


def add_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """Add one legend below all panels, in as many columns as fit the figure."""
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    for columns in range(4, 0, -1):
        legend = figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=columns
        )
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def shortened(name: str, longest: int = 18) -> str:
    """Return a name in at most so many characters, without its middle if it is longer."""
    half = longest // 2
    return name if len(name) <= longest else f"{name[: half - 1]}…{name[-half:]}"


def percent_axis(axes: Axes) -> None:
    """Format the y axis as percentages, with horizontal grid lines behind the data."""
    axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1))
    axes.grid(axis="y", alpha=0.15, color=INK)
    axes.set_axisbelow(True)


def error_bounds(value: float, low: float, high: float) -> list[list[float]]:
    """Convert an interval to the lower and upper error that matplotlib's `errorbar` expects."""
    return [[max(0.0, value - low)], [max(0.0, high - value)]]


def running_mean(values: np.ndarray) -> np.ndarray:
    """Compute the centered mean over a tenth of the values; windows are shorter at the ends."""
    reach = len(values) // 20
    windows = (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    return np.array([window.mean() for window in windows])


def svg(figure: Figure, name: str) -> str:
    """Render a figure as an SVG element; `name` makes its ids unique on the page."""
    stream = io.StringIO()
    no_metadata = {"Creator": None, "Date": None, "Format": None, "Type": None}
    figure.savefig(stream, format="svg", transparent=True, metadata=no_metadata)
    text = stream.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    for reference in ('id="', "url(#", 'xlink:href="#'):
        text = text.replace(reference, f"{reference}{name}-")
    return text
