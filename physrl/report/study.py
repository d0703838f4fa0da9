"""The report of a study: a self-contained HTML page, and its numbers as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from physrl.config.methods import CONTROLS
from physrl.config.task import TaskName
from physrl.evaluation.claims import Claim, judge_claims
from physrl.evaluation.comparisons import Comparison
from physrl.evaluation.families import family_of
from physrl.evaluation.specs import Condition
from physrl.evaluation.study_results import StudyResults
from physrl.report import study_figures
from physrl.report.cause_figure import cause_figure
from physrl.report.gallery import Answered, make_gallery
from physrl.report.page import render_page
from physrl.report.people_figure import people_figure
from physrl.report.people_tables import agreement_tables
from physrl.report.probe_figure import probe_figure
from physrl.report.psychophysics_table import psychophysics_rows
from physrl.report.reliability_figure import reliability_figure
from physrl.report.report import GalleryItem
from physrl.report.study_conclusions import claim_groups, methods_paragraph
from physrl.report.study_landscapes import landscape_figure
from physrl.report.study_summary import headline, summarize
from physrl.report.study_tables import adaptation_rows, matrix_tables, transfer_rows
from physrl.tasks import TASKS

PAGE, SUMMARY = "index.html", "summary.json"
TEMPLATE = "study.html.j2"
SIGNIFICANT = 0.05
"""P value below which a comparison is highlighted."""
LANDSCAPE_TASKS = tuple(name for name, task in TASKS.items() if task.axes and task.attempts == 1)
"""Tasks with numeric answers and a single attempt."""


def write_study_report(
    results: StudyResults,
    folder: Path,
    facts: Mapping[str, str],
    *,
    examples_per_cell: int = 2,
    landscapes: Sequence[TaskName] = LANDSCAPE_TASKS,
) -> Path:
    """Write `index.html` and `summary.json`; returns the page's path.

    Args:
        facts: durations, machine and versions by name.
        examples_per_cell: number of answers of each cell in the gallery; 0 leaves the gallery out.
        landscapes: tasks whose reward landscapes are drawn, which takes seconds each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    claims = judge_claims(results)
    gallery = study_gallery(results, examples_per_cell) if examples_per_cell else ()
    summary = json.dumps(summarize(results, claims), indent=1) + "\n"
    (folder / SUMMARY).write_text(summary, encoding="utf-8")
    page = folder / PAGE
    landscape = landscape_figure(results, landscapes)
    page.write_text(render_study(results, claims, gallery, landscape, facts), encoding="utf-8")
    return page


def render_study(
    results: StudyResults,
    claims: Sequence[Claim],
    gallery: Sequence[GalleryItem],
    landscapes: str | None,
    facts: Mapping[str, str],
) -> str:
    """Render the page, with its figures and images embedded."""
    agreements = agreement_tables(results)
    probed = dict.fromkeys(spec.task for spec in results.plan.probes)
    return render_page(
        TEMPLATE,
        results=results,
        claim_groups=claim_groups(claims),
        methods=methods_paragraph(results),
        headline=headline(results),
        tables=matrix_tables(results),
        transfers=transfer_rows(results),
        adaptations=adaptation_rows(results),
        psychophysics=psychophysics_rows(results),
        agreements=agreements,
        comparisons=_main_comparisons(results.comparisons),
        significant=SIGNIFICANT,
        figures={
            "learning": study_figures.learning_figure(results),
            "robustness": study_figures.robustness_figure(results),
            "adaptation": study_figures.adaptation_figure(results),
            "photos": study_figures.photo_figure(results),
            "people": people_figure(results, agreements),
            "reliability": reliability_figure(results),
            "landscapes": landscapes,
        },
        probes={task: probe_figure(results, task) for task in probed},
        causes={task: cause_figure(results, task) for task in probed},
        gallery=gallery,
        failures=sorted(results.failures.values(), key=lambda failure: failure.name),
        facts=facts,
    )


def study_gallery(results: StudyResults, per_cell: int) -> tuple[GalleryItem, ...]:
    """Select answers of each main family's first seed that has results, by task."""
    answered: list[Answered] = []
    for family, condition in [*results.diagonal, *results.off_diagonal]:
        for subject in results.plan.subjects:
            entry = results.matrix.find(subject, condition)
            cell = None if entry is None else results.cells.get(entry.cell.key)
            if family_of(subject) == family and entry is not None and cell is not None:
                answered.append((family.name, entry.cell, cell))
                break
    return make_gallery(answered, per_cell)


def _main_comparisons(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Select the comparisons under default conditions, without controls."""
    return [
        c
        for c in comparisons
        if c.condition == Condition(c.condition.task)
        and not CONTROLS & {c.first.method, c.second.method}
    ]
