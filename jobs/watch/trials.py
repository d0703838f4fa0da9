"""The trials of a study as rows that can be filtered and sorted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.watch.factors import FACTORS
from jobs.watch.runs import RunView
from jobs.watch.studies import StudyView
from physrl.evaluation.plan_file import TrialOutline
from physrl.evaluation.scores import CellScores

FILTERS = (*FACTORS, "state")
COLUMNS = (*FACTORS, "state", "score", "step", "step_s")
"""Columns that the table can be sorted by."""


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A trial at one moment."""

    trial: TrialOutline
    state: str
    """waiting, running, stalled, done or failed."""
    reason: str
    """Reason of a failure, or what is known of a run that stalls."""
    score: float | None
    """Success rate on the trained tasks, held out or else in training; None before either."""
    held_out: bool
    """Whether the score is of held-out scenes."""
    step: int
    steps: int | None
    step_s: float | None
    run: str | None
    """Location of the run, if it is at a watched place."""

    def value(self, column: str) -> Any:
        """Return the value of a column."""
        return getattr(self.trial if column in FACTORS else self, column)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which trials are shown, and in which order."""

    equal: Mapping[str, str]
    """Wanted text of columns among `FILTERS`."""
    text: str = ""
    """Part of the name."""
    sort: str = ""
    """Column to sort by; empty: the plan's order."""
    falling: bool = False

    def select(self, rows: Sequence[TrialRow]) -> list[TrialRow]:
        """Select and sort rows; those without a value come last."""
        kept = [
            row
            for row in rows
            if self.text.lower() in row.trial.name.lower()
            and all(str(row.value(name)) == wanted for name, wanted in self.equal.items())
        ]
        if not self.sort:
            return kept
        known = [row for row in kept if row.value(self.sort) is not None]
        known.sort(key=lambda row: row.value(self.sort), reverse=self.falling)
        return known + [row for row in kept if row.value(self.sort) is None]


def trial_rows(
    study: StudyView, find: Callable[[str, str], RunView | None], now: float
) -> list[TrialRow]:
    """Make the row of each trial.

    Args:
        find: finds the run of a trial by the names of study and trial.
    """
    return [_row(study, trial, find, now) for trial in study.outline.trials]


def _row(
    study: StudyView,
    trial: TrialOutline,
    find: Callable[[str, str], RunView | None],
    now: float,
) -> TrialRow:
    state, reason = _state(study, trial.key)
    curves = study.reading.trained.get(trial.key)
    run = find(study.name, trial.name) if state == "running" else None
    step = 0 if curves is None else curves.steps
    step_s = None if curves is None else curves.step_s
    if run is not None:
        step, step_s = run.step, run.step_s
        if run.state(now) == "stalled":
            state, reason = "stalled", run.state_words(now)
    tasks, cells = trial.task.split("+"), study.index.own_cells
    scores = [study.reading.scores.get(cells.get((trial.key, task), "")) for task in tasks]
    held_out = _mean_rate(scores)
    training = None if curves is None else curves.last(f"task/{tasks[0]}/accuracy")
    if run is not None and run.rows:
        training = run.rows[-1].get(f"task/{tasks[0]}/accuracy")
    return TrialRow(
        trial=trial,
        state=state,
        reason=reason,
        score=training if held_out is None else held_out,
        held_out=held_out is not None,
        step=step,
        steps=trial.config.get("algorithm", {}).get("steps"),
        step_s=step_s,
        run=None if run is None else run.location,
    )


def _state(study: StudyView, key: str) -> tuple[str, str]:
    if key in study.done:
        return "done", ""
    if key in study.running:
        return "running", ""
    if key in study.failures:
        failure = study.failures[key]
        return "failed", f"failed after {failure.tries} tries: {failure.reason}"
    return "waiting", ""


def _mean_rate(scores: Sequence[CellScores | None]) -> float | None:
    known = [each.rate for each in scores if each is not None]
    return sum(known) / len(known) if known and len(known) == len(scores) else None
