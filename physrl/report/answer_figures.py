"""Figures of individual answers: confusion matrices, and answered against ideal offsets."""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from physrl.evaluation.results import Answer, CellResult, PolicyResult
from physrl.report.colors import FAILURE, SUCCESS
from physrl.report.plot import INK, WIDTH, shortened, styled, svg
from physrl.report.table import DECODINGS
from physrl.tasks.answers import Axis

TRUTHS, VERDICTS = (True, False), (True, False, None)
"""Rows and columns of a confusion matrix: whether the tower falls, and the answer to that."""
MOST_POINTS = 400
"""Maximum number of answers of a policy in a scatter plot, to limit the page's size."""


@styled
def confusion_matrices(policies: Sequence[PolicyResult], name: str = "confusion") -> str:
    """Draw each policy's confusion matrix on `stability`, greedy answers if there are any.

    Args:
        name: makes the ids of the figure unique on its page.
    """
    results = _first_decoding(policies, "stability")
    figure = Figure(figsize=(WIDTH * len(results) / 4, 2.7), layout="constrained")
    panels = figure.subplots(1, len(results), squeeze=False)[0]
    for axes, (policy, result) in zip(panels, results.items(), strict=True):
        _draw_confusion(axes, result.answers)
        axes.set_title(shortened(policy))
    panels[0].set_ylabel("truth")
    return svg(figure, name)


@styled
def offset_scatter(
    policies: Sequence[PolicyResult], task: str, answered: Sequence[Axis], name: str
) -> str:
    """Draw answered against ideal offsets of a task: a row for x or y, a column a policy.

    Args:
        name: makes the ids of the figure unique on its page.
    """
    results = _first_decoding(policies, task)
    size = (WIDTH * len(results) / 4, 2.8 * len(answered))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(answered), len(results), squeeze=False, sharex="row", sharey="row")
    for row, letter in zip(grid, answered, strict=True):
        axis = "xy".index(letter)
        limits = _limits(results.values(), axis)
        for axes, result in zip(row, results.values(), strict=True):
            _draw_offsets(axes, result.answers[:MOST_POINTS], axis, limits)
            axes.set_xlabel(f"ideal {letter} (block widths)")
        row[0].set_ylabel(f"answered {letter} (block widths)")
    for axes, policy in zip(grid[0], results, strict=True):
        axes.set_title(shortened(policy))
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2)
    return svg(figure, name)


def confusion_table(answers: Sequence[Answer]) -> NDArray[np.int64]:
    """Count answers, 2 x 3: the tower falls or stands, by answer falls, stands or unparseable."""
    return np.array(
        [
            [sum(a.falls is truth and a.predicted_falls is v for a in answers) for v in VERDICTS]
            for truth in TRUTHS
        ],
        np.int64,
    )


def _first_decoding(policies: Sequence[PolicyResult], task: str) -> dict[str, CellResult]:
    """Find each policy's greedy result, else its sampled one; skip policies without either."""
    results = {}
    for policy in policies:
        of_task = [result for result in policy.results if result.task == task]
        if of_task:
            results[policy.policy] = min(of_task, key=lambda r: DECODINGS.index(r.decoding))
    return results


def _draw_confusion(axes: Axes, answers: Sequence[Answer]) -> None:
    table = confusion_table(answers)
    fractions = table / table.sum(axis=1, keepdims=True).clip(min=1)
    for (row, column), fraction in np.ndenumerate(fractions):
        color = SUCCESS if row == column else FAILURE
        corner = (column - 0.48, row - 0.48)
        square = Rectangle(corner, 0.96, 0.96, facecolor=color, alpha=0.06 + 0.5 * fraction)
        axes.add_patch(square)
        axes.text(column, row - 0.08, str(table[row, column]), ha="center", fontsize=12)
        axes.text(column, row + 0.26, f"{fraction:.0%}", ha="center", fontsize=8)
    axes.set(
        xlim=(-0.5, 2.5), ylim=(1.5, -0.5), xticks=range(3), yticks=range(2), xlabel="answered",
        xticklabels=("falls", "stands", "unparse-\nable"), yticklabels=("falls", "stands"),
    )  # fmt: skip
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _limits(results: Iterable[CellResult], axis: int) -> tuple[float, float]:
    """Compute an axis range that holds all ideal offsets, with a margin on either side."""
    answers = (answer for result in results for answer in result.answers)
    ideals = [a.ideal_offset[axis] for a in answers if a.ideal_offset is not None]
    return min(ideals, default=0.0) - 1.5, max(ideals, default=0.0) + 1.5


def _draw_offsets(
    axes: Axes, answers: Sequence[Answer], axis: int, limits: tuple[float, float]
) -> None:
    offsets = [
        (a.ideal_offset[axis], a.offset[axis], a.success)
        for a in answers
        if a.offset is not None and a.ideal_offset is not None
    ]
    points = np.array([(ideal, answered) for ideal, answered, _ in offsets]).reshape(-1, 2)
    succeeded = np.array([success for *_, success in offsets], bool)
    if len(points) and not (points[:, 0] % 1).any():
        # Ideal heights of equal blocks are integers: jitter them against overplotting.
        points[:, 0] += np.linspace(-0.25, 0.25, len(points))
    axes.plot(limits, limits, color=INK, linewidth=0.8, alpha=0.5)
    for chosen, label, color, marker in (
        (~succeeded, "failure", FAILURE, "x"),
        (succeeded, "success", SUCCESS, "o"),
    ):
        x, y = points[chosen].T
        axes.scatter(
            x, y.clip(*limits), s=14, c=color, marker=marker, alpha=0.65, linewidths=1,
            label=label, clip_on=False,
        )  # fmt: skip
    axes.set(xlim=limits, ylim=limits)
    axes.grid(alpha=0.15, color=INK)
