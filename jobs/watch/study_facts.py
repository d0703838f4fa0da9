"""A study in a row of the overview."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.watch.forecast import Forecast
from jobs.watch.runs import PATIENCE
from jobs.watch.studies import StudyView
from jobs.watch.trials import TrialRow
from physrl.config.runtime import RuntimeConfig

MOST_REASONS = 5
LEAST_PATIENCE_S = 600.0
"""Seconds without a result or a start after which marks of running results mean nothing."""
TRAINING = ("trials of the grid", "trials of controls")
"""Kinds of costs that are of training runs."""


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """A study's progress."""

    study: StudyView
    state: str
    """waiting, running, stalled, done or failed."""
    trials: Counter[str]
    """Trials by state, and cells by status below."""
    cells: Counter[str]
    reasons: tuple[str, ...]
    """Reasons of failures, each with its number of results."""
    gpu_hours: float
    """GPU hours of training so far."""
    planned_hours: float | None
    """Estimate of the plan for all training; None until it has been computed."""
    left_s: float | None
    """Seconds left, of the longest running trial or of the cells; None if nothing runs."""
    sign_s: float | None
    """Seconds since the last result or started result; None before any."""


def study_facts(
    study: StudyView, rows: Sequence[TrialRow], coming: Forecast, now: float
) -> StudyFacts:
    """Summarize a study."""
    trials = Counter(row.state for row in rows)
    cells = Counter({status: len(entries) for status, entries in study.by_status.items()})
    reasons = Counter(entry.reason for entry in study.by_status["failed"])
    named = [f"{count} cells: {reason}" for reason, count in reasons.most_common(MOST_REASONS)]
    named += [f"{row.trial.name}: {row.reason}" for row in rows if row.state == "failed"][
        :MOST_REASONS
    ]
    lefts = [
        (row.steps - row.step) * row.step_s
        for row in rows
        if row.state == "running" and row.steps is not None and row.step_s is not None
    ]
    if coming.left_s is not None and cells["running"]:
        lefts.append(coming.left_s)
    costs, sign = study.reading.costs, _sign(study, now)
    return StudyFacts(
        study=study,
        state=_state(study, trials, cells, coming, sign),
        trials=trials,
        cells=cells,
        reasons=tuple(named),
        gpu_hours=sum(_hours(study, row) for row in rows),
        planned_hours=None
        if costs is None
        else sum(cost.gpu_hours for cost in costs if cost.kind in TRAINING),
        left_s=max(lefts, default=None),
        sign_s=sign,
    )


def _state(
    study: StudyView,
    trials: Counter[str],
    cells: Counter[str],
    coming: Forecast,
    sign: float | None,
) -> str:
    if study.running:
        # A trial whose run is not at a watched place says nothing until it ends.
        patience = max(LEAST_PATIENCE_S, PATIENCE * (coming.cell_s or 0.0))
        silent = sign is not None and sign > patience
        return "stalled" if silent and not trials["running"] else "running"
    if not cells["missing"] and not trials["waiting"]:
        return "failed" if cells["failed"] or trials["failed"] else "done"
    return "stopped" if study.done else "waiting"


def _hours(study: StudyView, row: TrialRow) -> float:
    curves = study.reading.trained.get(row.trial.key)
    seconds = row.step * (row.step_s or 0.0) if curves is None else curves.seconds
    return seconds * _gpus(row.trial.config) / 3600 if seconds else 0.0


def _gpus(config: dict[str, Any]) -> float:
    try:
        return RuntimeConfig.model_validate(config.get("runtime", {})).gpus
    except ValueError:  # of another version
        return 0.0


def _sign(study: StudyView, now: float) -> float | None:
    """Return the seconds since the latest mark or sampled result."""
    times = [mark.time for mark in study.running.values()]
    times += [failure.time for failure in study.failures.values()]
    latest = [entry.cell.key for entry in study.by_status["done"][-1:]]
    times += [at for key in latest if (at := study.written_at(key)) is not None]
    return max(0.0, now - max(times)) if times else None
