"""Figure of a study's reward landscapes, with the models' answers on them."""

from collections.abc import Sequence
from contextlib import closing

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from physrl.config.task import TaskName
from physrl.environments.renderer import make_renderer
from physrl.environments.simulator import Simulator
from physrl.evaluation.families import Family, family_of
from physrl.evaluation.requests import cell_source
from physrl.evaluation.specs import CellSpec, Condition
from physrl.evaluation.study_results import StudyResults
from physrl.report.colors import LineStyle, line_styles
from physrl.report.landscape import Landscape, compute_landscape, plot_landscape
from physrl.report.plot import INK, WIDTH, add_legend, styled, svg
from physrl.scene_source import prepare
from physrl.tasks import TASKS
from physrl.types import Image

MARKERS = {"-": "o", "--": "s", "-.": "^", ":": "D"}
"""Markers of answers by the dashes of their family's lines."""


@styled
def landscape_figure(results: StudyResults, tasks: Sequence[TaskName]) -> str | None:
    """Draw a row a task: its first test scene, and the reward of every answer to it.

    Marked are the ideal answer and the greedy answer of each main family's first seed with a
    numeric answer. All answers on a grid are simulated: seconds for answers of two numbers.
    """
    rows = [row for task in tasks if (row := _first_answers(results, task)) is not None]
    if not rows:
        return None
    styles = line_styles(results)
    size = (WIDTH * 0.8, 3.4 * len(rows) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), 2, squeeze=False, width_ratios=(1, 1.7))
    for (left, right), (cell, answers) in zip(grid, rows, strict=True):
        image, landscape = _first_landscape(cell)
        left.imshow(image)
        left.set(xticks=(), yticks=(), title=cell.condition.task)
        right.set_prop_cycle(color=[INK])
        ideal_color = "white" if landscape.is_map else INK
        plot_landscape(figure, right, landscape, ideal_color=ideal_color)
        for family, offset in answers.items():
            _mark_answer(right, landscape, offset, family, styles[family])
    add_legend(figure, grid[:, 1])
    return svg(figure, "landscapes")


def _first_answers(
    results: StudyResults, task: TaskName
) -> tuple[CellSpec, dict[Family, tuple[float, float]]] | None:
    """Find a default cell of a task, and each main family's answer to its first scene."""
    if not TASKS[task].axes:
        return None
    any_cell = None
    answers: dict[Family, tuple[float, float]] = {}
    for subject in results.plan.subjects:
        family = family_of(subject)
        entry = results.matrix.find(subject, Condition(task))
        cell = None if entry is None else results.cells.get(entry.cell.key)
        if entry is None or cell is None or family not in results.main_families:
            continue
        any_cell = entry.cell
        offset = cell.answers[0].offset
        if offset is not None:
            answers.setdefault(family, offset)
    return None if any_cell is None else (any_cell, answers)


def _first_landscape(cell: CellSpec) -> tuple[Image, Landscape]:
    source = cell_source(cell)
    with closing(Simulator()) as simulator, closing(make_renderer(source.environment)) as renderer:
        (scene,), (prompt,) = prepare(source, [0], renderer)
        return prompt.images[-1], compute_landscape(scene, cell.settings.reward, simulator)


def _mark_answer(
    axes: Axes,
    landscape: Landscape,
    offset: tuple[float, float],
    family: Family,
    style: LineStyle,
) -> None:
    """Mark an answer, on the edge if it is outside of the grid."""
    x, y = np.clip(offset, (landscape.xs[0], landscape.ys[0]), (landscape.xs[-1], landscape.ys[-1]))
    if not landscape.is_map:
        column, row = abs(landscape.xs - x).argmin(), abs(landscape.ys - y).argmin()
        x, y = (x if len(landscape.xs) > 1 else y), landscape.rewards[row, column]
    axes.plot(
        x, y, MARKERS[style.get("linestyle", "-")], color=style["color"], markersize=7,
        markeredgecolor="white", label=family.name, clip_on=False, linestyle="none",
    )  # fmt: skip
