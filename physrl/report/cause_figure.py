"""Figure of interventions: effects of exchanged and steered states by layer."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from physrl.evaluation.families import Family
from physrl.evaluation.probe_results import Measure, ProbeResult
from physrl.evaluation.probe_summary import CauseCurve, cause_curve
from physrl.evaluation.study_results import StudyResults
from physrl.report.colors import LineStyle, line_styles
from physrl.report.plot import INK, add_legend, make_panels, styled, svg
from physrl.report.probe_figure import CONTROL_DASHES, label_layers, probed_families

TITLES: dict[Measure, str] = {
    "exchange": "state of the twin (share of the gap)",
    "flips": "answers that become the twin's",
    "steering": "along the probe (share of the gap)",
}
CONTROLS: dict[Measure, str] = {
    "exchange": "state of another scene on the same side",
    "flips": "state of another scene on the same side",
    "steering": "random directions",
}


@styled
def cause_figure(results: StudyResults, task: str) -> str | None:
    """Draw effects by layer: a panel a measure, a line a family, controls dashed."""
    styles = line_styles(results)
    probed = {
        family: members
        for family, members in probed_families(results, task).items()
        if family in styles and any(each.causes for each in members)
    }
    if not probed:
        return None
    figure, panels = make_panels(len(TITLES), 3, 2.9, extra_height=0.5)
    for axes, measure in zip(panels, TITLES, strict=True):
        _draw_measure(axes, probed, measure, styles)
        axes.set_title(TITLES[measure])
    add_legend(figure, panels)
    return svg(figure, f"causes-{task}")


def _draw_measure(
    axes: Axes,
    probed: Mapping[Family, Sequence[ProbeResult]],
    measure: Measure,
    styles: Mapping[Family, LineStyle],
) -> None:
    for family, members in probed.items():
        curve, style = cause_curve(members, measure, "effect"), styles[family]
        depths, values, low, high = _columns(curve)
        axes.plot(depths, values, label=family.name, marker=".", **style)
        axes.fill_between(depths, low, high, color=style["color"], alpha=0.12, linewidth=0)
        label_layers(axes, curve.layers)
    everything = [result for members in probed.values() for result in members]
    depths, values, _, _ = _columns(cause_curve(everything, measure, "control"))
    dashes = CONTROL_DASHES["untrained" if measure == "steering" else "shuffled"]
    label = CONTROLS[measure]
    axes.plot(depths, values, color=INK, linestyle=dashes, linewidth=1, label=label)
    axes.grid(alpha=0.15, color=INK)


def _columns(curve: CauseCurve) -> tuple[np.ndarray, ...]:
    """Return depths, values and limits; layers without an effect are NaN."""
    rows = [(e.value, e.low, e.high) if e is not None else (np.nan,) * 3 for e in curve.effects]
    values = np.array(rows, np.float64).reshape(-1, 3).T
    return (np.arange(len(curve.layers)), *values)
