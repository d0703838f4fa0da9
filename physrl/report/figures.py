"""The report's figures as inline SVG that takes its ink from the page, light or dark."""

import io
from collections.abc import Iterable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from physrl.data.photos import HumanAccuracy
from physrl.evaluation.results import Answered, PolicyResult, TaskResult
from physrl.report.table import DECODINGS, TASKS, measured
from physrl.tasks.answers import Axis
from physrl.types import Metrics

POLICY_COLORS = {"base": "#8c8c8c", "warm": "#e69f00", "grpo": "#0a84c8", "sft": "#d55e00"}
OTHER_COLORS = ("#009e73", "#cc79a7", "#56b4e9", "#9a8c00")
"""Okabe and Ito's colours, which the colour-blind tell apart, dark enough for white paper."""
SUCCESS, FAILURE = "#0a84c8", "#d55e00"
INK = "#010203"
"""Stands for the page's text colour, which it is replaced by."""
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
}
CHANCE = 0.5
"""The share of Yes or No that a coin would get right."""
PANELS = 4
"""Tasks side by side."""
CURVES = {
    "reward": "mean reward",
    "loss": "loss",
    "parse/failure_rate": "unparseable share",
    "kl": "KL from the base model (nats)",
    "entropy": "entropy (nats a token)",
    "completions/mean_length": "mean length (tokens)",
    "time/step_s": "time of a step (s)",
}
"""Metrics that get a panel where a run has them, besides task/<name>/accuracy."""
TRUTH, SAID = (True, False), (True, False, None)
"""Whether a tower falls: what happens, and what was answered."""
WIDTH = 11.5
"""Inches of a figure that fills the page."""
MOST_POINTS = 400
"""A scatter shows this many answers of each policy at most, to keep the page small."""


def policy_colors(names: Sequence[str]) -> dict[str, str]:
    """A fixed colour for each policy, whichever others there are."""
    others = [name for name in names if name not in POLICY_COLORS]
    spare = {name: OTHER_COLORS[i % len(OTHER_COLORS)] for i, name in enumerate(others)}
    return {name: POLICY_COLORS.get(name) or spare[name] for name in names}


def accuracy_bars(policies: Sequence[PolicyResult], human: HumanAccuracy | None) -> str:
    """Shares of successes with 95 % intervals: a panel a task, a pair of bars a policy."""
    rows = measured(policies)
    tasks = [task for task in TASKS if any(row.result.task == task for row in rows)]
    names = [policy.policy for policy in policies]
    colors = policy_colors(names)
    with matplotlib.rc_context(STYLE):
        columns = min(PANELS, len(tasks))
        rows_of_panels = -(-len(tasks) // columns)
        size = (WIDTH * columns / PANELS, 3.4 * rows_of_panels)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(rows_of_panels, columns, squeeze=False, sharey=True)
        for axes in panels.flat[len(tasks) :]:
            axes.remove()
        for axes, task in zip(panels.flat, tasks, strict=False):
            shown = [row for row in rows if row.result.task == task]
            decodings = sorted({row.result.decoding for row in shown}, key=DECODINGS.index)
            for row in shown:
                aside = 0.4 * (decodings.index(row.result.decoding) - (len(decodings) - 1) / 2)
                _bar(axes, names.index(row.policy) + aside, row.result, colors[row.policy])
            axes.set(title=task, ylim=(0, 1.02), xticks=range(len(names)), xticklabels=names)
            axes.yaxis.set_major_formatter("{x:.0%}")
            axes.grid(axis="y", alpha=0.15, color=INK)
            axes.set_axisbelow(True)
            if any(answer.falls is not None for row in shown for answer in row.result.answers):
                _reference(axes, CHANCE, "a coin")
            if task == "real" and human is not None:
                _reference(axes, human.mean_share, "people")
        for row_of_panels in panels:
            row_of_panels[0].set_ylabel("share of successes")
        return svg(figure, "accuracy")


def learning_curves(curves: Mapping[str, Sequence[Metrics]]) -> str:
    """A panel a metric, a line a run: every step faint, the running mean strong."""
    panels = curve_panels(curves)
    colors = policy_colors(list(curves))
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH * columns / 3, 2.5 * rows + 0.4), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid[len(panels) :]:
            axes.remove()
        for axes, (metric, title) in zip(grid, panels.items(), strict=False):
            for run, history in curves.items():
                points = [(row["step"], row[metric]) for row in history if metric in row]
                if points:
                    steps, values = np.array(points).T
                    axes.plot(steps, values, color=colors[run], alpha=0.3, linewidth=0.8)
                    axes.plot(steps, _running_mean(values), color=colors[run], linewidth=1.8)
            axes.set(title=title, xlabel="step")
            axes.grid(alpha=0.15, color=INK)
        handles = [Line2D([], [], color=colors[run]) for run in curves]
        figure.legend(handles, list(curves), loc="outside upper right", ncols=len(curves))
        return svg(figure, "curves")


def confusion_matrices(policies: Sequence[PolicyResult]) -> str:
    """What each policy said of standing and falling towers, `stability`, greedy if measured."""
    results = _first_decoding(policies, "stability")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH * len(results) / 4, 2.7), layout="constrained")
        panels = figure.subplots(1, len(results), squeeze=False)[0]
        for axes, (policy, result) in zip(panels, results.items(), strict=True):
            _confusion(axes, result.answers)
            axes.set_title(policy)
        panels[0].set_ylabel("truth")
        return svg(figure, "confusion")


def offset_scatter(policies: Sequence[PolicyResult], task: str, answered: Sequence[Axis]) -> str:
    """Answered against ideal offsets of a task: a row for x or y, a column a policy."""
    results = _first_decoding(policies, task)
    with matplotlib.rc_context(STYLE):
        size = (WIDTH * len(results) / 4, 2.8 * len(answered))
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(
            len(answered), len(results), squeeze=False, sharex="row", sharey="row"
        )
        for row, name in zip(grid, answered, strict=True):
            axis = "xy".index(name)
            frame = _frame(results.values(), axis)
            for axes, result in zip(row, results.values(), strict=True):
                _offsets(axes, result.answers[:MOST_POINTS], axis, frame)
                axes.set_xlabel(f"ideal {name} (block widths)")
            row[0].set_ylabel(f"answered {name} (block widths)")
        for axes, policy in zip(grid[0], results, strict=True):
            axes.set_title(policy)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
        return svg(figure, f"offsets-{task}")


def confusion_table(answers: Sequence[Answered]) -> NDArray[np.int64]:
    """Answers counted: 2 x 3, truth falls, stands by answer falls, stands, unparseable."""
    return np.array(
        [
            [sum(a.falls is truth and a.said_falls is said for a in answers) for said in SAID]
            for truth in TRUTH
        ],
        np.int64,
    )


def curve_panels(curves: Mapping[str, Sequence[Metrics]]) -> dict[str, str]:
    """The metrics that any run has, accuracies first, and their titles."""
    present = {name for history in curves.values() for row in history for name in row}
    accuracies = {
        name: f"{name.split('/')[1]}: success share in training"
        for name in sorted(present)
        if name.startswith("task/") and name.endswith("/accuracy")
    }
    return accuracies | {name: title for name, title in CURVES.items() if name in present}


def _bar(axes: Axes, x: float, result: TaskResult, color: str) -> None:
    count = result.count
    low, high = count.interval
    (bar,) = axes.bar(x, count.share, 0.36, facecolor=color, edgecolor=color)
    if result.decoding == "sampled":
        bar.set(facecolor="none", hatch="///")
    error = [[max(0.0, count.share - low)], [max(0.0, high - count.share)]]
    axes.errorbar(x, count.share, error, color=INK, capsize=2.5, linewidth=1)


def _reference(axes: Axes, share: float, label: str) -> None:
    axes.axhline(share, color=INK, linestyle=(0, (4, 3)), linewidth=1, alpha=0.75)
    where = ("axes fraction", "data")
    axes.annotate(label, (1.01, share), xycoords=where, va="center", fontsize=8)


def _running_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The centred mean over a tenth of the run, over fewer values at its ends."""
    reach = len(values) // 20
    windows = (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    return np.array([window.mean() for window in windows])


def _first_decoding(policies: Sequence[PolicyResult], task: str) -> dict[str, TaskResult]:
    """Each policy's greedy result, or else its sampled one; policies without either left out."""
    rows = [row for row in measured(policies) if row.result.task == task]
    found: dict[str, TaskResult] = {}
    for decoding in DECODINGS:
        for row in rows:
            if row.result.decoding == decoding:
                found.setdefault(row.policy, row.result)
    return {policy.policy: found[policy.policy] for policy in policies if policy.policy in found}


def _confusion(axes: Axes, answers: Sequence[Answered]) -> None:
    table = confusion_table(answers)
    shares = table / table.sum(axis=1, keepdims=True).clip(min=1)
    for (row, column), share in np.ndenumerate(shares):
        color = SUCCESS if row == column else FAILURE
        corner = (column - 0.48, row - 0.48)
        square = Rectangle(corner, 0.96, 0.96, facecolor=color, alpha=0.06 + 0.5 * share)
        axes.add_patch(square)
        axes.text(column, row - 0.08, str(table[row, column]), ha="center", fontsize=12)
        axes.text(column, row + 0.26, f"{share:.0%}", ha="center", fontsize=8)
    axes.set(
        xlim=(-0.5, 2.5), ylim=(1.5, -0.5), xticks=range(3), yticks=range(2), xlabel="answered",
        xticklabels=("falls", "stands", "unparse-\nable"), yticklabels=("falls", "stands"),
    )  # fmt: skip
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _frame(results: Iterable[TaskResult], axis: int) -> tuple[float, float]:
    """What is shown of an axis: all ideal offsets, with room on either side."""
    answers = (answer for result in results for answer in result.answers)
    ideals = [a.ideal_offset[axis] for a in answers if a.ideal_offset is not None]
    return min(ideals, default=0.0) - 1.5, max(ideals, default=0.0) + 1.5


def _offsets(
    axes: Axes, answers: Sequence[Answered], axis: int, frame: tuple[float, float]
) -> None:
    drawn = [
        (a.ideal_offset[axis], a.offset[axis], a.success)
        for a in answers
        if a.offset is not None and a.ideal_offset is not None
    ]
    points = np.array([(ideal, answered) for ideal, answered, _ in drawn]).reshape(-1, 2)
    succeeded = np.array([success for *_, success in drawn], bool)
    if len(points) and not (points[:, 0] % 1).any():
        # Ideal heights of equal blocks are whole: spread, so that points do not hide each other.
        points[:, 0] += np.linspace(-0.25, 0.25, len(points))
    axes.plot(frame, frame, color=INK, linewidth=0.8, alpha=0.5)
    for chosen, label, color, marker in (
        (~succeeded, "failure", FAILURE, "x"),
        (succeeded, "success", SUCCESS, "o"),
    ):
        x, y = points[chosen].T
        axes.scatter(
            x, y.clip(*frame), s=14, c=color, marker=marker, alpha=0.65, linewidths=1,
            label=label, clip_on=False,
        )  # fmt: skip
    axes.set(xlim=frame, ylim=frame)
    axes.grid(alpha=0.15, color=INK)


def svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element whose ids are its own among all figures of the page."""
    stream = io.StringIO()
    nothing = {"Creator": None, "Date": None, "Format": None, "Type": None}
    figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    for reference in ('id="', "url(#", 'xlink:href="#'):
        svg = svg.replace(reference, f"{reference}{name}-")
    return svg
