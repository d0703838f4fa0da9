"""One self-contained HTML page a study, and its figures as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from physrl.config.task import TaskName
from physrl.evaluation.adaptation import AdaptationCurve, area_under, samples_saved
from physrl.evaluation.claims import Claim, judge_claims
from physrl.evaluation.findings import Findings
from physrl.evaluation.generalization import Comparison, Family, family_of
from physrl.evaluation.resampling import Estimate
from physrl.evaluation.results import PolicyResult, TaskResult
from physrl.evaluation.specs import Condition
from physrl.evaluation.trials import SHUFFLED
from physrl.report import study_figures as figures
from physrl.report.gallery import make_gallery
from physrl.report.html import png_uri
from physrl.report.report import GalleryItem
from physrl.report.study_landscapes import landscape_figure
from physrl.tasks import TASKS

PAGE, SUMMARY = "index.html", "summary.json"
TEMPLATE = "study.html.j2"
SIGNIFICANT = 0.05
ONE_ATTEMPT = tuple(name for name, task in TASKS.items() if task.axes and task.attempts == 1)
"""Tasks whose answers are numbers, of which one is enough."""


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One family under one condition, for the page."""

    share: Estimate | None
    status: str
    """`done`, or what the first of its seeds that is not is: running, failed, missing; nothing
    where it is not asked."""
    seeds: str
    """How many are there of how many, where some are not."""
    reason: str
    diagonal: bool


@dataclass(frozen=True, slots=True)
class MatrixTable:
    """Families against tasks, asked in one way."""

    asking: str
    tasks: tuple[str, ...]
    rows: tuple[tuple[Family, tuple[MatrixCell, ...]], ...]


@dataclass(frozen=True, slots=True)
class TransferRow:
    """What training on one task did, here and elsewhere."""

    family: Family
    diagonal: Estimate | None
    off_diagonal: Estimate | None
    ratio: Estimate | None
    forgetting: Estimate | None
    seed_deviation: float | None


@dataclass(frozen=True, slots=True)
class AdaptationRow:
    """How a family took to another task, against the base."""

    family: Family
    task: str
    area: float
    """Mean accuracy over the steps, and over the seeds."""
    area_of_base: float | None
    saved: float | None
    """Demonstrations fewer than the base needs for its own best; None where a seed never gets
    there."""


def write_study_report(
    findings: Findings,
    folder: Path,
    facts: Mapping[str, str],
    *,
    examples_per_cell: int = 2,
    landscapes: Sequence[TaskName] = ONE_ATTEMPT,
) -> Path:
    """Write `index.html` and `summary.json`; returns the page's path.

    Args:
        facts: durations, machine, versions: name to value.
        examples_per_cell: answers that the gallery shows of each; 0 leaves it out.
        landscapes: tasks of which all answers to a scene are carried out: seconds each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    claims = judge_claims(findings)
    gallery = study_gallery(findings, examples_per_cell) if examples_per_cell else ()
    summary = json.dumps(summarize(findings, claims), indent=1) + "\n"
    (folder / SUMMARY).write_text(summary, encoding="utf-8")
    page = folder / PAGE
    surveyed = landscape_figure(findings, landscapes)
    page.write_text(render_study(findings, claims, gallery, surveyed, facts), encoding="utf-8")
    return page


def render_study(
    findings: Findings,
    claims: Sequence[Claim],
    gallery: Sequence[GalleryItem],
    landscapes: str | None,
    facts: Mapping[str, str],
) -> str:
    """The page; nothing in it is loaded from elsewhere."""
    environment = Environment(
        loader=PackageLoader("physrl", "report"), autoescape=True, trim_blocks=True
    )
    environment.filters |= {"png": png_uri, "percent": _percent, "signed": _signed}
    probed = dict.fromkeys(spec.task for spec in findings.plan.probes)
    drawn = {
        "learning": figures.learning_figure(findings),
        "sets": figures.sets_figure(findings),
        "adaptation": figures.adaptation_figure(findings),
        "photos": figures.photo_figure(findings),
        "landscapes": landscapes,
    }
    return environment.get_template(TEMPLATE).render(
        findings=findings,
        claims=claims,
        headline=headline(findings),
        tables=matrix_tables(findings),
        transfers=transfer_rows(findings),
        adaptations=adaptation_rows(findings),
        comparisons=_shown(findings.generalization.comparisons),
        significant=SIGNIFICANT,
        figures=drawn,
        probes={task: figures.probe_figure(findings, task) for task in probed},
        gallery=gallery,
        failures=sorted(findings.failures.values(), key=lambda failure: failure.name),
        facts=facts,
    )


def headline(findings: Findings) -> dict[str, Any]:
    """The study in one line of JSON; figures are null where nothing was measured."""
    found = findings.generalization
    diagonal, off = found.gain(findings.diagonal), found.gain(findings.off_diagonal)
    photos = [
        share.value
        for family in found.families
        if family.kind == "trained"
        and (share := found.share(family, Condition("stability", "real"))) is not None
    ]
    done = findings.matrix.count("done")
    return {
        "cells_done": done,
        "cells_missing": len(findings.matrix.entries) - done,
        "diagonal_gain": None if diagonal is None else round(diagonal.value, 4),
        "diagonal_gain_low": None if diagonal is None else round(diagonal.low, 4),
        "off_diagonal_gain": None if off is None else round(off.value, 4),
        "real_accuracy": round(sum(photos) / len(photos), 4) if photos else None,
    }


def summarize(findings: Findings, claims: Sequence[Claim]) -> dict[str, Any]:
    """What `summary.json` holds: everything on the page that is a number."""
    found = findings.generalization
    return headline(findings) | {
        "study": findings.plan.name,
        "claims": [asdict(claim) for claim in claims],
        "cells": [
            {"family": family.name, **asdict(condition), **asdict(share)}
            for family in found.families
            for condition in found.conditions
            if (share := found.share(family, condition)) is not None
        ],
        "transfer": [asdict(row) | {"family": row.family.name} for row in transfer_rows(findings)],
        "adaptation": [
            asdict(row) | {"family": row.family.name} for row in adaptation_rows(findings)
        ],
        "comparisons": [
            {"first": c.first.name, "second": c.second.name, **asdict(c.condition), "p": c.p}
            | {"difference": asdict(c.difference)}
            for c in found.comparisons
        ],
        "missing": [
            {"subject": entry.cell.subject.name, **asdict(entry.cell.condition)}
            | {"status": entry.status, "reason": entry.reason}
            for entry in findings.matrix.entries.values()
            if entry.status != "done"
        ],
    }


def matrix_tables(findings: Findings) -> tuple[MatrixTable, ...]:
    """A table for each way of asking, in the plan's order."""
    conditions = findings.matrix.conditions
    askings = dict.fromkeys(condition.asking for condition in conditions)
    return tuple(
        _matrix_table(findings, asking, [c for c in conditions if c.asking == asking])
        for asking in askings
    )


def transfer_rows(findings: Findings) -> tuple[TransferRow, ...]:
    """A row for each family that was trained on one task."""
    found = findings.generalization
    rows = []
    for family, condition in findings.diagonal:
        off = [place for place in findings.off_diagonal if place[0] == family]
        rows.append(
            TransferRow(
                family=family,
                diagonal=found.gain([(family, condition)]),
                off_diagonal=found.gain(off),
                ratio=found.transfer_ratio([(family, condition)], off),
                forgetting=found.forgetting(off),
                seed_deviation=found.seed_deviation(family, condition),
            )
        )
    return tuple(rows)


def adaptation_rows(findings: Findings) -> tuple[AdaptationRow, ...]:
    """A row for each trained family and task that it was adapted to."""
    curves: dict[tuple[Family, str], list[AdaptationCurve]] = {}
    for spec in findings.plan.adaptations:
        curve = findings.adaptations.get(spec.key)
        if curve is not None:
            curves.setdefault((family_of(spec.subject), spec.task), []).append(curve)
    rows = []
    for (family, task), ours in curves.items():
        if family.kind == "base":
            continue
        base = findings.generalization.base_of(family)
        theirs = None if base is None else curves.get((base, task), [None])[0]
        saved = [None if theirs is None else samples_saved(curve, theirs) for curve in ours]
        there = [count for count in saved if count is not None]
        rows.append(
            AdaptationRow(
                family=family,
                task=task,
                area=sum(map(area_under, ours)) / len(ours),
                area_of_base=None if theirs is None else area_under(theirs),
                saved=sum(there) / len(there) if len(there) == len(ours) else None,
            )
        )
    return tuple(rows)


def study_gallery(findings: Findings, per_cell: int) -> tuple[GalleryItem, ...]:
    """Successes and failures of each trained family's first seed that is there, asked plainly."""
    policies: dict[Family, PolicyResult] = {}
    for family, condition in [*findings.diagonal, *findings.off_diagonal]:
        for subject in findings.plan.subjects:
            entry = findings.matrix.find(subject, condition)
            result = None if entry is None else findings.cells.get(entry.cell.key)
            if family_of(subject) == family and result is not None:
                before = policies.get(family, PolicyResult(family.name, ()))
                answers = TaskResult(condition.task, "greedy", result.answers)
                policies[family] = PolicyResult(family.name, (*before.results, answers))
                break
    if not policies:
        return ()
    asked = findings.plan.cells[0].asked
    return make_gallery(
        list(policies.values()), asked.environment, reasoning=asked.reasoning, per_task=per_cell
    )


def _matrix_table(findings: Findings, asking: str, conditions: Sequence[Condition]) -> MatrixTable:
    rows = []
    for family in findings.generalization.families:
        cells = tuple(_matrix_cell(findings, family, condition) for condition in conditions)
        if any(cell.status for cell in cells):
            rows.append((family, cells))
    return MatrixTable(asking, tuple(condition.task for condition in conditions), tuple(rows))


def _matrix_cell(findings: Findings, family: Family, condition: Condition) -> MatrixCell:
    entries = [
        entry
        for subject in findings.plan.subjects
        if family_of(subject) == family
        and (entry := findings.matrix.find(subject, condition)) is not None
    ]
    done = sum(entry.status == "done" for entry in entries)
    rest = [entry for entry in entries if entry.status != "done"]
    status = rest[0].status if rest else "done" if entries else ""
    return MatrixCell(
        share=findings.generalization.share(family, condition),
        status=status,
        seeds=f"{done} of {len(entries)} seeds" if rest and len(entries) > 1 else "",
        reason="; ".join(dict.fromkeys(entry.reason for entry in rest if entry.reason)),
        diagonal=condition.task in family.trained_on,
    )


def _shown(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Those on plainly asked tasks, without the control; summary.json has all."""
    return [
        c
        for c in comparisons
        if c.condition == Condition(c.condition.task)
        and SHUFFLED not in (c.first.method, c.second.method)
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _signed(figure: Estimate | None) -> str:
    if figure is None:
        return "–"
    return f"{figure.value:+.2f} ({figure.low:+.2f} to {figure.high:+.2f})"
