"""Figures of a report: success rates by task, and learning curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from physrl.data.photos import HumanAccuracy
from physrl.evaluation.results import CellResult, PolicyResult
from physrl.report.colors import policy_colors
from physrl.report.plot import (
    CHANCE,
    DASHED,
    INK,
    error_bounds,
    make_panels,
    percent_axis,
    running_mean,
    shortened,
    styled,
    svg,
)
from physrl.report.table import DECODINGS, ROWS, measured
from physrl.types import Metrics

COLUMNS = 4
"""Number of tasks in a row."""
MOST_LETTERS = 18
"""Letters of policies' names that fit below a panel side by side; more are slanted."""
CURVES = {
    "reward": "mean reward",
    "loss": "loss",
    "parse/failure_rate": "unparseable completions (rate)",
    "kl": "KL from the base model (nats)",
    "entropy": "entropy (nats per token)",
    "completions/mean_length": "mean length (tokens)",
    "time/step_s": "step time (s)",
    "minutes": "minutes of training",
    "budget/tokens": "tokens of training so far",
}
"""Metrics with a panel of their own, in addition to task/<name>/accuracy and that of validation."""
ACCURACIES = {"task": "training success", "validation": "validation success"}
"""Meaning of the accuracies by the first part of their names."""


@styled
def accuracy_bars(
    policies: Sequence[PolicyResult], human: HumanAccuracy | None, name: str = "accuracy"
) -> str:
    """Draw success rates with 95 % intervals: a panel a task, a bar a policy and decoding.

    Args:
        name: makes the ids of the figure unique on its page.
    """
    rows = measured(policies)
    tasks = [task for task in ROWS if any(row.result.task == task for row in rows)]
    names = [policy.policy for policy in policies]
    colors = policy_colors(names)
    figure, panels = make_panels(len(tasks), COLUMNS, 3.4, sharey=True)
    for axes, task in zip(panels, tasks, strict=True):
        shown = [row for row in rows if row.result.task == task]
        decodings = sorted({row.result.decoding for row in shown}, key=DECODINGS.index)
        for row in shown:
            offset = 0.4 * (decodings.index(row.result.decoding) - (len(decodings) - 1) / 2)
            _draw_bar(axes, names.index(row.policy) + offset, row.result, colors[row.policy])
        axes.set(title=task, ylim=(0, 1.02), xticks=range(len(names)))
        crowded = sum(map(len, names)) > MOST_LETTERS
        axes.set_xticklabels(
            [shortened(name) for name in names],
            rotation=35 if crowded else 0,
            ha="right" if crowded else "center",
        )
        percent_axis(axes)
        if any(answer.falls is not None for row in shown for answer in row.result.answers):
            _draw_reference(axes, CHANCE, "chance")
        if task == "real" and human is not None:
            _draw_reference(axes, human.mean_share, "people")
    for axes in panels[::COLUMNS]:
        axes.set_ylabel("success rate")
    return svg(figure, name)


@styled
def learning_curves(curves: Mapping[str, Sequence[Metrics]]) -> str:
    """Draw a panel a metric and a line a run: steps faint, the running mean strong."""
    titles = curve_panels(curves)
    colors = policy_colors(list(curves))
    figure, panels = make_panels(len(titles), 3, 2.5, extra_height=0.4)
    for axes, (metric, title) in zip(panels, titles.items(), strict=True):
        for run, history in curves.items():
            points = [(row["step"], row[metric]) for row in map(_telling, history) if metric in row]
            if points:
                steps, values = np.array(points).T
                axes.plot(steps, values, color=colors[run], alpha=0.3, linewidth=0.8)
                axes.plot(steps, running_mean(values), color=colors[run], linewidth=1.8)
        axes.set(title=title, xlabel="step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.15, color=INK)
    handles = [Line2D([], [], color=colors[run]) for run in curves]
    figure.legend(handles, list(curves), loc="outside upper left", ncols=len(curves))
    return svg(figure, "curves")


def curve_panels(curves: Mapping[str, Sequence[Metrics]]) -> dict[str, str]:
    """Map the metrics that any run has to panel titles, accuracies first."""
    present = {name for history in curves.values() for row in history for name in _telling(row)}
    accuracies = {
        name: f"{name.split('/')[1]}: {ACCURACIES[name.split('/')[0]]}"
        for name in sorted(present)
        if name.split("/")[0] in ACCURACIES and name.endswith("/accuracy")
    }
    return accuracies | {name: title for name, title in CURVES.items() if name in present}


def _telling(row: Metrics) -> Metrics:
    """Leave out the loss of a step of RL, which is near 0 whatever the policy learns."""
    return {name: value for name, value in row.items() if name != "loss" or "reward" not in row}


def _draw_bar(axes: Axes, x: float, result: CellResult, color: str) -> None:
    rate = result.count.rate
    (bar,) = axes.bar(x, rate, 0.36, facecolor=color, edgecolor=color)
    if result.decoding == "sampled":
        bar.set(facecolor="none", hatch="///")
    bounds = error_bounds(rate, *result.count.interval)
    axes.errorbar(x, rate, bounds, color=INK, capsize=2.5, linewidth=1)


def _draw_reference(axes: Axes, rate: float, label: str) -> None:
    axes.axhline(rate, color=INK, linestyle=DASHED, linewidth=1, alpha=0.75)
    coordinates = ("axes fraction", "data")
    axes.annotate(label, (1.01, rate), xycoords=coordinates, va="center", fontsize=8)
