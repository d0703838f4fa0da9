"""Figure of linear probes: scores by layer."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from physrl.config.study import Target
from physrl.evaluation.families import Family, family_of
from physrl.evaluation.probe_results import ProbeResult, Source
from physrl.evaluation.probe_summary import layer_curve
from physrl.evaluation.statistics import Z
from physrl.evaluation.study_results import StudyResults
from physrl.report.colors import LineStyle, line_styles
from physrl.report.plot import INK, add_legend, make_panels, styled, svg

MOST_TICKS = 8
CONTROL_DASHES: dict[Source, tuple[int, tuple[int, int]]] = {
    "untrained": (0, (4, 2)),
    "shuffled": (0, (1, 2)),
}
TITLES: dict[Target, str] = {
    "margin": "margin (R²)",
    "stability": "stability (balanced accuracy)",
    "offset_x": "ideal offset x (R²)",
    "offset_y": "ideal offset y (R²)",
    "height": "tower height (R²)",
    "blocks": "number of blocks (R²)",
}


@styled
def probe_figure(results: StudyResults, task: str) -> str | None:
    """Draw probe scores by layer: a panel a target, a line a family, controls dashed."""
    styles = line_styles(results)
    probed = {
        family: members
        for family, members in probed_families(results, task).items()
        if family in styles
    }
    scored = {
        score.target for members in probed.values() for each in members for score in each.scores
    }
    targets = [target for target in TITLES if target in scored]
    if not targets:
        return None
    figure, panels = make_panels(len(targets), 4, 2.9, extra_height=0.5)
    for axes, target in zip(panels, targets, strict=True):
        _draw_target(axes, probed, target, styles)
        axes.set_title(TITLES[target])
    add_legend(figure, panels)
    return svg(figure, f"probes-{task}")


def probed_families(results: StudyResults, task: str) -> dict[Family, list[ProbeResult]]:
    """Collect the probes on a task by family."""
    probed: dict[Family, list[ProbeResult]] = {}
    for spec in results.plan.probes:
        result = results.probes.get(spec.key)
        if result is not None and spec.task == task:
            probed.setdefault(family_of(spec.subject), []).append(result)
    return probed


def label_layers(axes: Axes, layers: Sequence[str]) -> None:
    """Name some of the layers on the horizontal axis."""
    depths, every = np.arange(len(layers)), max(1, len(layers) // MOST_TICKS)
    names = [_short_layer(name) for name in layers[::every]]
    axes.set_xticks(depths[::every], names, rotation=45, ha="right")


def _draw_target(
    axes: Axes,
    probed: Mapping[Family, Sequence[ProbeResult]],
    target: Target,
    styles: Mapping[Family, LineStyle],
) -> None:
    for family, members in probed.items():
        curve, style = layer_curve(members, target, "model"), styles[family]
        depths = np.arange(len(curve.layers))
        axes.plot(depths, curve.means, label=family.name, marker=".", **style)
        low, high = curve.means - Z * curve.errors, curve.means + Z * curve.errors
        axes.fill_between(depths, low, high, color=style["color"], alpha=0.12, linewidth=0)
        label_layers(axes, curve.layers)
    everything = [result for members in probed.values() for result in members]
    for source, dashes in CONTROL_DASHES.items():
        curve = layer_curve(everything, target, source)
        depths = np.arange(len(curve.layers))
        axes.plot(depths, curve.means, color=INK, linestyle=dashes, linewidth=1, label=source)
    pixels = layer_curve(everything, target, "pixels")
    if pixels.layers:
        axes.axhline(pixels.means[0], color=INK, linewidth=1, alpha=0.5, label="pixels")
    axes.set_ylim(max(-0.5, axes.get_ylim()[0]), 1.02)
    axes.grid(alpha=0.15, color=INK)


def _short_layer(name: str) -> str:
    return name.replace("vision.", "v").replace("language.", "l")
