"""The HTML report of evaluated policies."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from physrl.evaluation.results import PolicyResult
from physrl.evaluation.statistics import Count, Z, compare
from physrl.report.answer_figures import MOST_POINTS, confusion_matrices, offset_scatter
from physrl.report.colors import policy_colors
from physrl.report.figures import accuracy_bars, curve_panels, learning_curves
from physrl.report.page import render_page
from physrl.report.report import ReportData
from physrl.report.table import HEADINGS, LEFT_ALIGNED, ROWS, plain_rows
from physrl.tasks import TASKS

TEMPLATE = "report.html.j2"
ACHIEVEMENTS = {name: task.achievement for name, task in TASKS.items()} | {
    "real": "correctly predicted whether a real tower would fall in {share} of the photographs",
}


def write_report(data: ReportData, path: Path) -> Path:
    """Write the page, creating its folder if necessary; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_html(data), encoding="utf-8")
    return path


def render_html(data: ReportData) -> str:
    """Render the page, with its figures and images embedded."""
    return render_page(
        TEMPLATE,
        data=data,
        facts=data.facts,
        summary=summarize(data.policies),
        headings=HEADINGS,
        left_aligned=LEFT_ALIGNED,
        rows=plain_rows(data.policies),
        figures=dict(_draw(data)),
        scatters=_draw_scatters(data.policies),
        most_points=MOST_POINTS,
        colors=policy_colors([policy.policy for policy in data.policies]),
    )


def summarize(policies: Sequence[PolicyResult]) -> tuple[str, ...]:
    """Write a sentence a task: the first policy's success rate, and the differences of others."""
    sentences = (_summarize_task(policies, task) for task in ROWS)
    return tuple(sentence for sentence in sentences if sentence)


def _draw(data: ReportData) -> Iterator[tuple[str, str]]:
    """Draw the figures that there is data for, by name."""
    tasks = {result.task for policy in data.policies for result in policy.results}
    if tasks:
        yield "accuracy", accuracy_bars(data.policies, data.human)
    if curve_panels(data.curves):
        yield "curves", learning_curves(data.curves)
    if "stability" in tasks:
        yield "confusion", confusion_matrices(data.policies)


def _draw_scatters(policies: Sequence[PolicyResult]) -> dict[str, str]:
    """Draw answered against ideal offsets, for each task whose answers are numbers."""
    tasks = {result.task for policy in policies for result in policy.results}
    return {
        name: offset_scatter(policies, name, task.axes)
        for name, task in TASKS.items()
        if task.axes and name in tasks
    }


def _summarize_task(policies: Sequence[PolicyResult], task: str) -> str:
    results = ((policy.policy, policy.find(task, "greedy")) for policy in policies)
    counts = [(name, result.count) for name, result in results if result is not None]
    if not counts:
        return ""
    (first, before), *others = counts
    achievement = ACHIEVEMENTS[task].format(share=f"{before.rate:.0%}")
    changes = "; ".join(f"{name} {_change(before, after)}" for name, after in others)
    return f"{first} {achievement}" + (f"; {changes}." if changes else ".")


def _change(before: Count, after: Count) -> str:
    difference = compare(before, after)
    points, bound = 100 * difference.value, 100 * Z * difference.standard_error
    is_clear = abs(points) > bound
    change = f"{round(points):+d} ± {bound:.0f} points"
    return f"{after.rate:.0%} ({change}, {'significant' if is_clear else 'not significant'})"
