"""The study report's figures, as inline SVG."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from physrl.config.study import Target, TestSet
from physrl.config.task import TaskName
from physrl.evaluation.decoding import layer_curve
from physrl.evaluation.findings import Findings
from physrl.evaluation.generalization import Family, family_of
from physrl.evaluation.probes import ProbeResult, Source
from physrl.evaluation.specs import Condition
from physrl.evaluation.trials import PLAIN
from physrl.report.figures import CHANCE, INK, STYLE, WIDTH, policy_colors, svg

SIGMAS = 1.96
COLUMNS = 4
CONTROL_STYLES: dict[Source, tuple[int, tuple[int, int]]] = {
    "untrained": (0, (4, 2)),
    "shuffled": (0, (1, 2)),
}
DASHES = ("-", "--", "-.", ":")
MOST_TICKS = 8
Look = dict[str, Any]
"""How a line is drawn."""
METHOD_COLORS = {
    "gspo": "#009e73",
    "sft_shuffled": "#cc79a7",
    "physics": "#56b4e9",
    "guesser": "#9a8c00",
    "ppo": "#7d5ba6",
}
"""Beside those of `POLICY_COLORS`."""
TITLES: dict[Target, str] = {
    "margin": "margin (R²)",
    "stability": "stability (balanced accuracy)",
    "offset_x": "ideal offset x (R²)",
    "offset_y": "ideal offset y (R²)",
    "height": "tower height (R²)",
    "blocks": "number of blocks (R²)",
}


def learning_figure(findings: Findings) -> str | None:
    """Success in training by what is trained on; a line a method, its seeds faint."""
    lines: dict[str, dict[Family, list[list[tuple[float, float]]]]] = {}
    for subject in findings.plan.subjects:
        trained = findings.trained.get(subject.key)
        if trained is None:
            continue
        for task in subject.trained_on:
            names = (f"validation/{task}/accuracy", f"task/{task}/accuracy")
            name = next((n for n in names if any(n in row for row in trained.metrics)), None)
            if name is not None:
                points = [(row["step"], row[name]) for row in trained.metrics if name in row]
                mixed = len(subject.trained_on) > 1
                title = f"{'+'.join(subject.trained_on)}: {task}" if mixed else task
                panel = lines.setdefault(title, {})
                panel.setdefault(family_of(subject), []).append(points)
    if not lines:
        return None
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(lines))
        for axes, (title, families) in zip(panels, lines.items(), strict=True):
            colors = family_colors(list(families))
            for family, runs in families.items():
                for points in runs:
                    axes.plot(*np.array(points).T, color=colors[family], alpha=0.25, linewidth=0.8)
                steps = sorted({step for points in runs for step, _ in points})
                curves = [np.interp(steps, *np.array(points).T) for points in runs]
                mean = np.mean(curves, axis=0)
                dashed = "-" if family.variant == PLAIN else "--"
                axes.plot(steps, mean, dashed, color=colors[family], label=_short(family))
            axes.set(title=title, xlabel="step", ylim=(-0.02, 1.02))
            _percent(axes)
            axes.legend()
        panels[0].set_ylabel("success in training")
        return svg(figure, "learning")


def adaptation_figure(findings: Findings) -> str | None:
    """Accuracy against steps of SFT: a panel a task, a line a family, the base's in grey."""
    lines: dict[str, dict[Family, list[tuple[Sequence[int], Sequence[float]]]]] = {}
    looks = line_looks(findings)
    for spec in findings.plan.adaptations:
        curve = findings.adaptations.get(spec.key)
        family = family_of(spec.subject)
        if curve is not None and family in looks:
            panel = lines.setdefault(spec.task, {})
            panel.setdefault(family, []).append((curve.steps, curve.accuracies.tolist()))
    if not lines:
        return None
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(lines))
        for axes, (task, families) in zip(panels, lines.items(), strict=True):
            for family, curves in families.items():
                shares = np.mean([shares for _, shares in curves], axis=0)
                steps = curves[0][0]
                axes.plot(steps, shares, label=family.name, marker=".", **looks[family])
            axes.set_xscale("symlog", linthresh=1)
            axes.set(title=f"to {task}", xlabel="steps of SFT", xticks=steps, ylim=(-0.02, 1.02))
            axes.set_xticklabels([str(step) for step in steps])
            axes.minorticks_off()
            _percent(axes)
        panels[0].set_ylabel("success share")
        _legend(figure, panels)
        return svg(figure, "adaptation")


def probe_figure(findings: Findings, task: str) -> str | None:
    """How well each layer gives a target away: a panel a target, base against trained."""
    probed: dict[Family, list[ProbeResult]] = {}
    looks = line_looks(findings)
    for spec in findings.plan.probes:
        result, family = findings.probes.get(spec.key), family_of(spec.subject)
        if result is not None and spec.task == task and family in looks:
            probed.setdefault(family, []).append(result)
    targets = [t for t in TITLES if any(_has(r, t) for rs in probed.values() for r in rs)]
    if not targets:
        return None
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(targets))
        for axes, target in zip(panels, targets, strict=True):
            _draw_probes(axes, probed, target, looks)
            axes.set_title(TITLES[target])
        _legend(figure, panels)
        return svg(figure, f"probes-{task}")


def sets_figure(findings: Findings) -> str | None:
    """The trained task on every test set: where it holds, and where it breaks."""
    asked = [
        condition
        for condition in findings.matrix.conditions
        if condition == Condition(condition.task, condition.test_set)
    ]
    tasks = list(dict.fromkeys(family.trained_on[0] for family, _ in findings.diagonal))
    if not tasks or len({condition.test_set for condition in asked}) < 2:
        return None
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(tasks))
        for axes, task in zip(panels, tasks, strict=True):
            sets = [condition.test_set for condition in asked if condition.task == task]
            families = [f for f, condition in findings.diagonal if condition.task == task]
            bases = [f for f in findings.generalization.families if f.kind == "base"]
            for number, family in enumerate([*bases, *families]):
                _draw_sets(axes, findings, family, task, sets, number, len(bases + families))
            axes.set(title=task, ylim=(0, 1.02), xticks=range(len(sets)))
            axes.set_xticklabels(sets, rotation=35, ha="right")
            _percent(axes)
        panels[0].set_ylabel("success share")
        panels[0].legend()
        return svg(figure, "sets")


def photo_figure(findings: Findings) -> str | None:
    """Verdicts on photographs, zero-shot and greedy: a bar a family, people and a coin as lines."""
    found = findings.generalization
    real = Condition("stability", "real")
    places = found.places(lambda family, condition: condition == real)
    if not places:
        return None
    colors = family_colors([family for family, _ in places])
    with matplotlib.rc_context(STYLE):
        size = (WIDTH * 0.75, 0.6 + 0.32 * len(places))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        for row, (family, condition) in enumerate(places):
            share = found.share(family, condition)
            assert share is not None
            axes.barh(row, share.value, 0.6, color=colors[family], alpha=0.85)
            bounds = [[max(0, share.value - share.low)], [max(0, share.high - share.value)]]
            axes.errorbar(share.value, row, xerr=bounds, color=INK, capsize=2.5, linewidth=1)
        axes.set(yticks=range(len(places)), xlim=(0, 1), xlabel="right verdicts")
        axes.set_yticklabels([family.name for family, _ in places])
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1))
        axes.axvline(CHANCE, color=INK, linestyle=(0, (1, 2)), linewidth=1)
        axes.annotate("a coin", (CHANCE, 1.0), xycoords=("data", "axes fraction"), ha="center",
                      va="bottom", fontsize=8)  # fmt: skip
        if findings.human is not None:
            share_of_people = findings.human.mean_share
            axes.axvline(share_of_people, color=INK, linestyle=(0, (4, 3)), linewidth=1)
            axes.annotate("people", (share_of_people, 1.0), xycoords=("data", "axes fraction"),
                          ha="center", va="bottom", fontsize=8)  # fmt: skip
        return svg(figure, "photos")


def family_colors(families: Sequence[Family]) -> dict[Family, str]:
    """By method, so that a method has one colour on the whole page."""
    methods = list(dict.fromkeys(family.method or family.kind for family in families))
    colors = policy_colors(methods) | METHOD_COLORS
    return {family: colors[family.method or family.kind] for family in families}


def line_looks(findings: Findings) -> dict[Family, Look]:
    """Of the bases and the families trained on one task: a colour a method, dashes a task."""
    trained = [family for family, _ in findings.diagonal]
    tasks = list(dict.fromkeys(family.trained_on for family in trained))
    colors = family_colors(trained)
    looks: dict[Family, Look] = {
        family: {"color": policy_colors(["base"])["base"], "linewidth": 2.6, "zorder": 3}
        for family in findings.generalization.families
        if family.kind == "base"
    }
    for family in trained:
        dashes = DASHES[tasks.index(family.trained_on) % len(DASHES)]
        looks[family] = {"color": colors[family], "linestyle": dashes, "linewidth": 1.4}
    return looks


def _draw_probes(
    axes: Axes,
    probed: Mapping[Family, Sequence[ProbeResult]],
    target: Target,
    looks: Mapping[Family, Look],
) -> None:
    everything = [result for results in probed.values() for result in results]
    for family, results in probed.items():
        curve = layer_curve(results, target, "model")
        places = np.arange(len(curve.layers))
        axes.plot(places, curve.means, label=family.name, marker=".", **looks[family])
        low, high = (curve.means + side * SIGMAS * curve.errors for side in (-1, 1))
        axes.fill_between(places, low, high, color=looks[family]["color"], alpha=0.12, linewidth=0)
        every = max(1, len(places) // MOST_TICKS)
        axes.set_xticks(places[::every])
        names = [_layer(name) for name in curve.layers[::every]]
        axes.set_xticklabels(names, rotation=45, ha="right")
    for source, style in CONTROL_STYLES.items():
        curve = layer_curve(everything, target, source)
        places = np.arange(len(curve.layers))
        axes.plot(places, curve.means, color=INK, linestyle=style, linewidth=1, label=source)
    pixels = layer_curve(everything, target, "pixels")
    if pixels.layers:
        axes.axhline(pixels.means[0], color=INK, linewidth=1, alpha=0.5, label="pixels")
    axes.set_ylim(max(-0.5, axes.get_ylim()[0]), 1.02)
    axes.grid(alpha=0.15, color=INK)


def _draw_sets(
    axes: Axes,
    findings: Findings,
    family: Family,
    task: TaskName,
    sets: Sequence[TestSet],
    number: int,
    count: int,
) -> None:
    color = family_colors([family])[family]
    labelled = False
    for place, test_set in enumerate(sets):
        share = findings.generalization.share(family, Condition(task, test_set))
        if share:
            aside = place + 0.5 * ((number + 0.5) / count - 0.5)
            bounds = [[max(0, share.value - share.low)], [max(0, share.high - share.value)]]
            axes.errorbar(
                aside, share.value, bounds, color=color, marker="o", markersize=4, capsize=2,
                linewidth=1, label=None if labelled else _short(family),
            )  # fmt: skip
            labelled = True


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    size = (WIDTH * max(columns, 2) / COLUMNS, 2.9 * rows + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[count:]:
        axes.remove()
    return figure, list(panels[:count])


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """One for all panels, in as many columns as fit."""
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


def _percent(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1))
    axes.grid(axis="y", alpha=0.15, color=INK)


def _has(result: ProbeResult, target: Target) -> bool:
    return any(score.target == target for score in result.scores)


def _short(family: Family) -> str:
    words = [family.method or family.name]
    return " ".join(words if family.variant in ("", PLAIN) else [*words, family.variant])


def _layer(name: str) -> str:
    return name.replace("vision.", "v").replace("language.", "l")
