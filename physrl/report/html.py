"""One self-contained HTML page."""

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader
from PIL import Image as PillowImage

from physrl.evaluation.results import EvaluationTask, PolicyResult
from physrl.evaluation.statistics import Count, compare
from physrl.report import figures
from physrl.report.report import ReportData
from physrl.report.table import HEADINGS, LEFT_ALIGNED, TASKS, plain_rows
from physrl.tasks import TASKS as SIMULATED
from physrl.types import Image

TEMPLATE = "template.html.j2"
SIGMAS = 1.96
"""Half a 95 % interval of a normal variable, in standard errors."""
ACHIEVEMENTS = {name: task.achievement for name, task in SIMULATED.items()} | {
    "real": "predicted rightly whether a real tower would fall in {share} of the photographs",
}


def write_report(data: ReportData, path: Path) -> Path:
    """Write the page, making its folder if need be; returns the page's path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_html(data), encoding="utf-8")
    return path


def render_html(data: ReportData) -> str:
    """The page; figures and pictures are inside it, nothing is loaded from elsewhere."""
    environment = Environment(
        loader=PackageLoader("physrl", "report"), autoescape=True, trim_blocks=True
    )
    environment.filters["png"] = png_uri
    return environment.get_template(TEMPLATE).render(
        data=data,
        summary=summarize(data.policies),
        headings=HEADINGS,
        left_aligned=LEFT_ALIGNED,
        rows=plain_rows(data.policies),
        figures=dict(_draw(data)),
        scatters=_scatters(data.policies),
        most_points=figures.MOST_POINTS,
        colors=figures.policy_colors([policy.policy for policy in data.policies]),
    )


def summarize(policies: Sequence[PolicyResult]) -> tuple[str, ...]:
    """A sentence a task: the first policy's share, and how far each other one is from it."""
    sentences = (_summarize_task(policies, task) for task in TASKS)
    return tuple(sentence for sentence in sentences if sentence)


def png_uri(image: Image) -> str:
    """A picture as a data URI."""
    stream = io.BytesIO()
    PillowImage.fromarray(image).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _draw(data: ReportData) -> Iterator[tuple[str, str]]:
    """The figures that there is something to show in, by name."""
    measured = {result.task for policy in data.policies for result in policy.results}
    if measured:
        yield "accuracy", figures.accuracy_bars(data.policies, data.human)
    if figures.curve_panels(data.curves):
        yield "curves", figures.learning_curves(data.curves)
    if "stability" in measured:
        yield "confusion", figures.confusion_matrices(data.policies)


def _scatters(policies: Sequence[PolicyResult]) -> dict[str, str]:
    """Answered against ideal offsets, for each offset task that was measured."""
    measured = {result.task for policy in policies for result in policy.results}
    return {
        name: figures.offset_scatter(policies, name, task.axes)
        for name, task in SIMULATED.items()
        if task.axes and name in measured
    }


def _summarize_task(policies: Sequence[PolicyResult], task: EvaluationTask) -> str:
    found = ((policy.policy, policy.find(task, "greedy")) for policy in policies)
    counts = [(name, result.count) for name, result in found if result is not None]
    if not counts:
        return ""
    (first, before), *others = counts
    achievement = ACHIEVEMENTS[task].format(share=f"{before.share:.0%}")
    changes = "; ".join(f"{name} {_change(before, after)}" for name, after in others)
    return f"{first} {achievement}" + (f"; {changes}." if changes else ".")


def _change(before: Count, after: Count) -> str:
    difference = compare(before, after)
    points, bound = 100 * difference.value, 100 * SIGMAS * difference.standard_error
    clear = abs(points) > bound
    change = f"{round(points):+d} ± {bound:.0f} points"
    return f"{after.share:.0%} ({change}, {'a clear change' if clear else 'no clear change'})"
