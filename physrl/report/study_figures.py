"""Figures of a study: learning, adaptation, test sets and photographs."""

from collections.abc import Sequence

import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from physrl.config.environment import TestSet
from physrl.config.task import TaskName
from physrl.evaluation.families import Family, family_of
from physrl.evaluation.people_scores import people_success
from physrl.evaluation.specs import Condition
from physrl.evaluation.study_results import StudyResults
from physrl.evaluation.trials import DEFAULT_VARIANT
from physrl.report.colors import family_colors, line_styles
from physrl.report.plot import (
    CHANCE,
    DASHED,
    DOTTED,
    INK,
    WIDTH,
    add_legend,
    error_bounds,
    make_panels,
    percent_axis,
    styled,
    svg,
)

COLUMNS, ROW_HEIGHT, LEGEND_HEIGHT = 4, 2.9, 0.5


@styled
def learning_figure(results: StudyResults) -> str | None:
    """Draw success in training: a panel a trained task, a line a family, its seeds faint."""
    lines = _learning_curves(results)
    if not lines:
        return None
    figure, panels = make_panels(len(lines), COLUMNS, ROW_HEIGHT, extra_height=LEGEND_HEIGHT)
    for axes, (title, families) in zip(panels, lines.items(), strict=True):
        colors = family_colors(list(families))
        for family, runs in families.items():
            for points in runs:
                axes.plot(*np.array(points).T, color=colors[family], alpha=0.25, linewidth=0.8)
            steps = sorted({step for points in runs for step, _ in points})
            mean = np.mean([np.interp(steps, *np.array(points).T) for points in runs], axis=0)
            dashes = "-" if family.variant == DEFAULT_VARIANT else "--"
            axes.plot(steps, mean, dashes, color=colors[family], label=_short_name(family))
        axes.set(title=title, xlabel="step", ylim=(-0.02, 1.02))
        percent_axis(axes)
        axes.legend()
    panels[0].set_ylabel("training success rate")
    return svg(figure, "learning")


@styled
def adaptation_figure(results: StudyResults) -> str | None:
    """Draw accuracy against steps of SFT: a panel a task, a line a family, the base in gray."""
    lines: dict[str, dict[Family, list[tuple[Sequence[int], Sequence[float]]]]] = {}
    styles = line_styles(results)
    for spec in results.plan.adaptations:
        curve, family = results.adaptations.get(spec.key), family_of(spec.subject)
        if curve is not None and family in styles:
            panel = lines.setdefault(spec.task, {})
            panel.setdefault(family, []).append((curve.steps, curve.accuracies.tolist()))
    if not lines:
        return None
    figure, panels = make_panels(len(lines), COLUMNS, ROW_HEIGHT, extra_height=LEGEND_HEIGHT)
    for axes, (task, families) in zip(panels, lines.items(), strict=True):
        for family, curves in families.items():
            accuracy = np.mean([accuracies for _, accuracies in curves], axis=0)
            steps = curves[0][0]
            axes.plot(steps, accuracy, label=family.name, marker=".", **styles[family])
        axes.set_xscale("symlog", linthresh=1)
        axes.set(title=f"to {task}", xlabel="SFT steps", xticks=steps, ylim=(-0.02, 1.02))
        axes.set_xticklabels([str(step) for step in steps])
        axes.minorticks_off()
        percent_axis(axes)
    panels[0].set_ylabel("success rate")
    add_legend(figure, panels)
    return svg(figure, "adaptation")


@styled
def robustness_figure(results: StudyResults) -> str | None:
    """Draw the success rate on the trained task by test set; None with a single test set."""
    conditions = [
        condition
        for condition in results.matrix.conditions
        if condition == Condition(condition.task, condition.test_set)
    ]
    tasks = list(dict.fromkeys(family.trained_on[0] for family, _ in results.diagonal))
    if not tasks or len({condition.test_set for condition in conditions}) < 2:
        return None
    figure, panels = make_panels(len(tasks), COLUMNS, ROW_HEIGHT, extra_height=LEGEND_HEIGHT)
    for axes, task in zip(panels, tasks, strict=True):
        test_sets = [condition.test_set for condition in conditions if condition.task == task]
        trained = [f for f, condition in results.diagonal if condition.task == task]
        bases = [f for f in results.main_families if f.kind == "base"]
        families = bases + trained
        for family, offset in zip(families, _spread(len(families)), strict=True):
            _draw_test_sets(axes, results, family, task, test_sets, offset)
        axes.set(title=task, ylim=(0, 1.02), xticks=range(len(test_sets)))
        axes.set_xticklabels(test_sets, rotation=35, ha="right")
        percent_axis(axes)
    panels[0].set_ylabel("success rate")
    panels[0].legend()
    return svg(figure, "robustness")


@styled
def photo_figure(results: StudyResults) -> str | None:
    """Draw the accuracy on photographs: a bar a family, lines for chance and for people."""
    generalization, real = results.generalization, Condition("stability", "real")
    models = generalization.select(lambda _, condition: condition == real)
    rates = {family: generalization.success_rate(family, real) for family, _ in models}
    rates |= {
        group.family: rate
        for group in results.people
        if (rate := people_success(group, real)) is not None
    }
    families = list(rates)
    if not families:
        return None
    colors = family_colors(families)
    size = (WIDTH * 0.75, 0.6 + 0.32 * len(families))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    for row, family in enumerate(families):
        rate = rates[family]
        assert rate is not None
        axes.barh(row, rate.value, 0.6, color=colors[family], alpha=0.85)
        bounds = error_bounds(rate.value, rate.low, rate.high)
        axes.errorbar(rate.value, row, xerr=bounds, color=INK, capsize=2.5, linewidth=1)
    axes.set(yticks=range(len(families)), xlim=(0, 1), xlabel="accuracy")
    axes.set_yticklabels([family.name for family in families])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1))
    references = [("chance", CHANCE, DOTTED)]
    if results.human is not None:
        references.append(("people", results.human.mean_share, DASHED))
    for label, accuracy, dashes in references:
        axes.axvline(accuracy, color=INK, linestyle=dashes, linewidth=1)
        axes.annotate(label, (accuracy, 1.0), xycoords=("data", "axes fraction"), ha="center",
                      va="bottom", fontsize=8)  # fmt: skip
    return svg(figure, "photos")


def _learning_curves(
    results: StudyResults,
) -> dict[str, dict[Family, list[list[tuple[float, float]]]]]:
    """Collect (step, success rate) points by panel and family, one list a seed.

    Validation is preferred to training success.
    """
    lines: dict[str, dict[Family, list[list[tuple[float, float]]]]] = {}
    for subject in results.plan.subjects:
        trained = results.trained.get(subject.key)
        if trained is None:
            continue
        for task in subject.trained_on:
            names = (f"validation/{task}/accuracy", f"task/{task}/accuracy")
            name = next((n for n in names if any(n in row for row in trained.metrics)), None)
            if name is not None:
                points = [(row["step"], row[name]) for row in trained.metrics if name in row]
                mixture = "+".join(subject.trained_on)
                title = task if mixture == task else f"{mixture}: {task}"
                lines.setdefault(title, {}).setdefault(family_of(subject), []).append(points)
    return lines


def _draw_test_sets(
    axes: Axes,
    results: StudyResults,
    family: Family,
    task: TaskName,
    test_sets: Sequence[TestSet],
    offset: float,
) -> None:
    color = family_colors([family])[family]
    label: str | None = _short_name(family)
    for position, test_set in enumerate(test_sets):
        rate = results.generalization.success_rate(family, Condition(task, test_set))
        if rate:
            axes.errorbar(
                position + offset, rate.value, error_bounds(rate.value, rate.low, rate.high),
                color=color, marker="o", markersize=4, capsize=2, linewidth=1, label=label,
            )  # fmt: skip
            label = None
            scores = results.generalization.scores[family, Condition(task, test_set)]
            given = scores.success_if_legal
            if given is not None and scores.legal_share < 1:
                axes.plot(position + offset, given, "o", color=color, fillstyle="none")


def _spread(count: int) -> list[float]:
    """Space markers evenly over half the distance between two ticks."""
    return [0.5 * ((number + 0.5) / count - 0.5) for number in range(count)]


def _short_name(family: Family) -> str:
    name = family.method or family.name
    return name if family.variant in ("", DEFAULT_VARIANT) else f"{name} {family.variant}"
