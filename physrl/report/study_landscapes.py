"""Rewards of all answers about a scene, with what the models answered on them."""

from collections.abc import Sequence
from contextlib import closing

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from physrl.config.task import TaskName
from physrl.environments.renderer import make_renderer
from physrl.environments.simulator import Simulator
from physrl.evaluation.asking import cell_source
from physrl.evaluation.findings import Findings
from physrl.evaluation.generalization import Family, family_of
from physrl.evaluation.specs import CellSpec, Condition
from physrl.report.figures import INK, STYLE, WIDTH, svg
from physrl.report.landscape import FAMILY, Landscape, survey
from physrl.report.study_figures import Look, line_looks
from physrl.scene_source import prepare
from physrl.tasks import TASKS
from physrl.types import Image

MARKERS = {"-": "o", "--": "s", "-.": "^", ":": "D"}
"""Of an answer, by the dashes of its family's lines."""


def landscape_figure(findings: Findings, tasks: Sequence[TaskName]) -> str | None:
    """A row a task: its first test scene, and the reward of each answer to it.

    The ideal is a cross; every base and family trained on one task has the greedy answer of its
    first seed that gave one. Rewards are found by carrying out every answer on a grid: seconds for
    two numbers.
    """
    rows = [row for task in tasks if (row := _answers(findings, task)) is not None]
    if not rows:
        return None
    looks = line_looks(findings)
    with matplotlib.rc_context(STYLE):
        size = (WIDTH * 0.8, 3.4 * len(rows) + 0.6)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(rows), 2, squeeze=False, width_ratios=(1, 1.7))
        for (left, right), (cell, answers) in zip(grid, rows, strict=True):
            picture, landscape = _survey(cell)
            left.imshow(picture)
            left.set(xticks=(), yticks=(), title=cell.condition.task)
            _draw(figure, right, landscape)
            for family, (x, y) in answers.items():
                _mark(right, landscape, (x, y), family, looks[family])
        handles = {
            label: handle
            for axes in grid[:, 1]
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
        return svg(figure, "landscapes")


def _answers(
    findings: Findings, task: TaskName
) -> tuple[CellSpec, dict[Family, tuple[float, float]]] | None:
    """A cell that asks plainly about a task, and what each family answered to its first scene."""
    if not TASKS[task].axes:
        return None
    looks, any_cell = line_looks(findings), None
    found: dict[Family, tuple[float, float]] = {}
    for subject in findings.plan.subjects:
        family = family_of(subject)
        entry = findings.matrix.find(subject, Condition(task))
        result = None if entry is None else findings.cells.get(entry.cell.key)
        if entry is None or result is None or family not in looks:
            continue
        any_cell = entry.cell
        offset = result.answers[0].offset
        if offset is not None:
            found.setdefault(family, offset)
    return None if any_cell is None else (any_cell, found)


def _survey(cell: CellSpec) -> tuple[Image, Landscape]:
    source = cell_source(cell)
    with closing(Simulator()) as simulator, closing(make_renderer(source.environment)) as renderer:
        (scene,), (prompt,) = prepare(source, [0], renderer)
        return prompt.images[-1], survey(scene, cell.asked.reward, simulator)


def _draw(figure: Figure, axes: Axes, landscape: Landscape) -> None:
    xs, ys, ideal = landscape.xs, landscape.ys, landscape.ideal
    if _is_map(landscape):
        shown = axes.pcolormesh(xs, ys, landscape.rewards, cmap=FAMILY, shading="nearest",
                                rasterized=True)  # fmt: skip
        figure.colorbar(shown, ax=axes, label="reward")
        axes.plot(ideal.x, ideal.y, "+", color="white", markersize=14, markeredgewidth=2.5)
        axes.set(xlabel="answered x (block widths)", ylabel="answered y (block widths)")
        axes.set(xlim=(xs[0], xs[-1]), ylim=(ys[0], ys[-1]))
        return
    name, along = ("x", xs) if len(xs) > 1 else ("y", ys)
    axes.plot(along, landscape.rewards.ravel(), color=INK, linewidth=1)
    axes.axvline(getattr(ideal, name), color=INK, linestyle=":", linewidth=1)
    axes.set(xlabel=f"answered {name} (block widths)", ylabel="reward", xlim=(along[0], along[-1]))


def _mark(
    axes: Axes, landscape: Landscape, offset: tuple[float, float], family: Family, look: Look
) -> None:
    """The answer; beyond the frame it stands on its edge."""
    x = float(min(max(offset[0], landscape.xs[0]), landscape.xs[-1]))
    y = float(min(max(offset[1], landscape.ys[0]), landscape.ys[-1]))
    if not _is_map(landscape):
        place = abs(landscape.xs - x).argmin() if len(landscape.xs) > 1 else None
        row = abs(landscape.ys - y).argmin()
        reward = landscape.rewards[row, place or 0]
        x, y = (x if place is not None else y), float(reward)
    axes.plot(
        x, y, MARKERS[look.get("linestyle", "-")], color=look["color"], markersize=7,
        markeredgecolor="white", label=family.name, clip_on=False, linestyle="none",
    )  # fmt: skip


def _is_map(landscape: Landscape) -> bool:
    return len(landscape.xs) > 1 and len(landscape.ys) > 1
