"""Figure of people beside models: psychometric curves, and agreement with a noise ceiling."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from scipy.special import expit

from physrl.evaluation.estimate import Estimate
from physrl.evaluation.families import Family, group_families
from physrl.evaluation.psychophysics import fit_curve, verdicts_of
from physrl.evaluation.results import Answer
from physrl.evaluation.specs import Condition
from physrl.evaluation.statistics import Floats
from physrl.evaluation.study_results import StudyResults
from physrl.report.colors import LineStyle, line_styles
from physrl.report.people_tables import AgreementTable
from physrl.report.plot import (
    DASHED,
    INK,
    add_legend,
    error_bounds,
    make_panels,
    percent_axis,
    shortened,
    styled,
    svg,
)

STABILITY = Condition("stability")
BINS = 6
PEOPLE_STYLES: tuple[LineStyle, ...] = (
    {"color": "#7b2d8b", "linewidth": 2.6},
    {"color": "#b5651d", "linewidth": 2.6},
    {"color": "#2f6f4f", "linewidth": 2.6},
)
COLUMNS, ROW_HEIGHT, LEGEND_HEIGHT = 3, 3.2, 0.6


@styled
def people_figure(results: StudyResults, tables: Sequence[AgreementTable]) -> str | None:
    """Draw the curves on held-out towers and a panel a table of agreement; None without either."""
    curves = _verdicts(results)
    panels_needed = bool(curves) + len(tables)
    if not panels_needed:
        return None
    figure, panels = make_panels(panels_needed, COLUMNS, ROW_HEIGHT, extra_height=LEGEND_HEIGHT)
    styles = _styles(results)
    if curves:
        for family, answers in curves.items():
            _draw_curve(panels[0], family, answers, styles[family])
        panels[0].set(title="verdicts by margin", xlabel="margin (block widths)")
        panels[0].set_ylim(-0.03, 1.03)
        panels[0].set_ylabel("share of Yes (a block falls)")
        percent_axis(panels[0])
        add_legend(figure, [panels[0]])
    for axes, table in zip(panels[bool(curves) :], tables, strict=True):
        _draw_agreement(axes, table, styles)
    return svg(figure, "people")


def _styles(results: StudyResults) -> dict[Family, LineStyle]:
    people = [group.family for group in results.people]
    chosen = {
        family: PEOPLE_STYLES[number % len(PEOPLE_STYLES)] for number, family in enumerate(people)
    }
    return line_styles(results) | chosen


def _verdicts(results: StudyResults) -> dict[Family, list[Answer]]:
    """Collect the verdicts of groups of people on towers, then of the main families; if any."""
    people = {
        group.family: [each.answer for each in group.answers if each.condition == STABILITY]
        for group in results.people
    }
    found = {family: answers for family, answers in people.items() if answers}
    if not found:
        return {}
    members = group_families(results.plan.subjects)
    for family in results.main_families:
        entries = [results.matrix.find(subject, STABILITY) for subject in members[family]]
        cells = [None if each is None else results.cells.get(each.cell.key) for each in entries]
        answers = [answer for cell in cells if cell is not None for answer in cell.answers]
        if answers:
            found[family] = answers
    return found


def _draw_curve(axes: Axes, family: Family, answers: Sequence[Answer], style: LineStyle) -> None:
    margins, _, verdicts = verdicts_of(answers)
    curve = fit_curve(margins, verdicts)
    if curve is not None and curve.threshold is not None:
        places = np.linspace(margins.min(), margins.max(), 100)
        shares = expit(-curve.slope * (places - curve.threshold))
        axes.plot(places, shares, label=shortened(family.name, 30), **style)
    if family.kind == "people" and len(margins):
        axes.plot(*_binned(margins, verdicts), "o", color=style["color"], markersize=4)


def _binned(margins: Floats, verdicts: Floats) -> tuple[list[float], list[float]]:
    """Average margins and verdicts over equally many answers each."""
    order = np.argsort(margins, kind="stable")
    bins = [each for each in np.array_split(order, BINS) if len(each)]
    return [float(margins[each].mean()) for each in bins], [
        float(verdicts[each].mean()) for each in bins
    ]


def _draw_agreement(axes: Axes, table: AgreementTable, styles: dict[Family, LineStyle]) -> None:
    for row, each in enumerate(table.rows):
        value, color = each.agreement, styles[each.family]["color"]
        middle = value.value if isinstance(value, Estimate) else value
        assert middle is not None  # rows have values
        if isinstance(value, Estimate):
            bounds = error_bounds(value.value, value.low, value.high)
            axes.errorbar(middle, row, xerr=bounds, color=color, capsize=2.5, linewidth=1)
        axes.plot(middle, row, "o", color=color)
    axes.axvline(table.ceiling, color=INK, linestyle=DASHED, linewidth=1)
    axes.axvline(0, color=INK, linewidth=0.6, alpha=0.4)
    photographs = table.condition.test_set == "real"
    title = "photographs" if photographs else f"{table.condition.task}, {table.condition.test_set}"
    axes.set(title=title, xlabel=f"agreement with {shortened(table.group)} (kappa)")
    axes.set(yticks=range(len(table.rows)), ylim=(len(table.rows) - 0.5, -0.5))
    families = [each.family for each in table.rows]
    axes.set_yticklabels([shortened(family.name, 24) for family in families])
