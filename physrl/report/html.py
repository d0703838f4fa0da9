"""The HTML report of evaluated policies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from physrl.config.differences import show_value
from physrl.evaluation.results import CellResult, PolicyResult, compare
from physrl.evaluation.statistics import Difference
from physrl.report.answer_figures import MOST_POINTS, confusion_matrices, offset_scatter
from physrl.report.colors import policy_colors
from physrl.report.figures import accuracy_bars, curve_panels, learning_curves
from physrl.report.page import render_page
from physrl.report.report import ReportData, ReportSection
from physrl.report.table import LEFT_ALIGNED, ROWS, headings, plain_rows
from physrl.tasks import TASKS
from physrl.types import QUESTIONS

TEMPLATE = "report.html.j2"
ACHIEVEMENTS = {name: task.achievement for name, task in TASKS.items()} | {
    QUESTIONS: "answered {share} of your questions correctly",
    "real": "correctly predicted whether a real tower would fall in {share} of the photographs",
}


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A section with its texts and figures."""

    section: ReportSection
    summary: tuple[str, ...]
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    pairs: tuple[tuple[str, ...], ...]
    figures: dict[str, str]
    scatters: dict[str, str]


def write_report(data: ReportData, path: Path) -> Path:
    """Write the page, creating its folder if necessary; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_html(data), encoding="utf-8")
    return path


def render_html(data: ReportData) -> str:
    """Render the page, with its figures and images embedded."""
    names = [policy.policy for section in data.sections for policy in section.policies]
    return render_page(
        TEMPLATE,
        data=data,
        facts=data.facts,
        sections=[_draw(number, section) for number, section in enumerate(data.sections)],
        left_aligned=LEFT_ALIGNED,
        curves=learning_curves(data.curves) if curve_panels(data.curves) else None,
        most_points=MOST_POINTS,
        colors=policy_colors([*dict.fromkeys(names)]),
        show=show_value,
    )


def summarize(policies: Sequence[PolicyResult]) -> tuple[str, ...]:
    """Write a sentence a task: the first policy's success rate, and the differences of others."""
    sentences = (_summarize_task(policies, task) for task in ROWS)
    return tuple(sentence for sentence in sentences if sentence)


def pair_rows(policies: Sequence[PolicyResult]) -> Iterator[tuple[str, ...]]:
    """Compare every two policies scene by scene: task, both, difference, interval, verdict.

    Two policies alone are compared in the summary.
    """
    if len(policies) < 3:
        return
    for task in ROWS:
        for first, second in combinations(policies, 2):
            results = [each.find(task, "greedy") for each in (first, second)]
            if results[0] is None or results[1] is None:
                continue
            found = compare(results[0], results[1])
            if found is not None:
                points = [f"{100 * each:+.1f}" for each in (found.value, found.low, found.high)]
                interval = f"{points[1]} to {points[2]}"
                yield task, second.policy, first.policy, points[0], interval, _verdict(found)


def _draw(number: int, section: ReportSection) -> _Drawn:
    figures = dict(_figures(section, f"section{number}"))
    tasks = _tasks(section)
    scatters = {
        name: offset_scatter(section.policies, name, task.axes, f"section{number}-offsets-{name}")
        for name, task in TASKS.items()
        if task.axes and name in tasks
    }
    return _Drawn(
        section,
        summarize(section.policies),
        headings(section.policies),
        plain_rows(section.policies),
        tuple(pair_rows(section.policies)),
        figures,
        scatters,
    )


def _figures(section: ReportSection, prefix: str) -> Iterator[tuple[str, str]]:
    """Draw the figures that there is data for, by name; the prefix makes their ids unique."""
    tasks = _tasks(section)
    if tasks:
        yield "accuracy", accuracy_bars(section.policies, section.human, f"{prefix}-accuracy")
    if "stability" in tasks:
        yield "confusion", confusion_matrices(section.policies, f"{prefix}-confusion")


def _tasks(section: ReportSection) -> set[str]:
    return {result.task for policy in section.policies for result in policy.results}


def _summarize_task(policies: Sequence[PolicyResult], task: str) -> str:
    found = ((policy.policy, policy.find(task, "greedy")) for policy in policies)
    results = [(name, result) for name, result in found if result is not None]
    if not results:
        return ""
    (first, before), *others = results
    achievement = ACHIEVEMENTS[task].format(share=f"{before.count.rate:.0%}")
    changes = "; ".join(f"{name} {_change(before, after)}" for name, after in others)
    return f"{first} {achievement}" + (f"; {changes}." if changes else ".")


def _change(before: CellResult, after: CellResult) -> str:
    difference = compare(before, after)
    if difference is None:
        return f"{after.count.rate:.0%} (no scene in common)"
    value, low, high = (100 * each for each in (difference.value, difference.low, difference.high))
    points = f"{value:+.1f} points, {low:+.1f} to {high:+.1f}"
    return f"{after.count.rate:.0%} ({points}; {_verdict(difference)})"


def _verdict(difference: Difference) -> str:
    return "significant" if difference.is_clear else "not significant"
