"""Figure of calibration: how often towers fell, by the belief that they would."""

import numpy as np

from physrl.evaluation.families import Family, family_of
from physrl.evaluation.psychophysics import Reliability, beliefs_of, calibrate
from physrl.evaluation.results import Answer
from physrl.evaluation.study_results import StudyResults
from physrl.report.colors import line_styles
from physrl.report.plot import DASHED, INK, add_legend, make_panels, percent_axis, styled, svg
from physrl.report.psychophysics_table import STABILITY

LARGEST = 9.0
"""Size of the marker of a point that all answers are in."""


@styled
def reliability_figure(results: StudyResults) -> str | None:
    """Draw a reliability diagram: a line a family, over all of its seeds."""
    styles = line_styles(results)
    points = {family: found for family in styles if (found := _points(results, family))}
    if not points:
        return None
    figure, (axes,) = make_panels(1, 3, 3.4, extra_height=0.5)
    axes.plot([0, 1], [0, 1], color=INK, linestyle=DASHED, linewidth=1, alpha=0.6)
    for family, found in points.items():
        style, total = styles[family], sum(each.count for each in found)
        beliefs, fell = [each.belief for each in found], [each.fell for each in found]
        axes.plot(beliefs, fell, label=family.name, **style)
        sizes = [LARGEST**2 * each.count / total for each in found]
        axes.scatter(beliefs, fell, sizes, color=style["color"])
    axes.set(xlabel="belief that a block falls", ylabel="share of towers that fell")
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), xticks=np.linspace(0, 1, 6))
    percent_axis(axes)
    add_legend(figure, [axes])
    return svg(figure, "reliability")


def _points(results: StudyResults, family: Family) -> tuple[Reliability, ...]:
    """Collect the answers of all seeds of a family, and compare their beliefs with the truth."""
    answers: list[Answer] = []
    for entry in results.matrix.entries.values():
        cell = results.cells.get(entry.cell.key)
        is_asked = entry.cell.condition == STABILITY and family_of(entry.cell.subject) == family
        if cell is not None and is_asked:
            answers += cell.answers
    found = calibrate(*beliefs_of(answers))
    return () if found is None else found.points
