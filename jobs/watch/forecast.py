"""What of a study is in progress, what comes next, and what a stop now would lose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from jobs.watch.runs import RunView, duration
from jobs.watch.studies import StudyView
from physrl.evaluation.matrix import Entry

NEXT, SAMPLE = 8, 64
"""Next cells that are named, and latest cells whose times say how long one takes."""


@dataclass(frozen=True, slots=True)
class InProgress:
    """A result that is being computed."""

    name: str
    age_s: float
    """Seconds since it was started; a killed computation stays here."""
    loss: str
    """What of it a stop now would lose."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The near future of a study."""

    running: tuple[InProgress, ...]
    """Oldest first: these finish next."""
    next_cells: tuple[str, ...]
    """Cells that come next, in the plan's order; their models are there."""
    waiting: int
    """Number of cells whose model is not trained yet."""
    cell_s: float | None
    """Usual seconds between two finished cells; None before three have been."""
    left_s: float | None
    """Seconds until the cells that can be measured now are done, at that rate."""


def forecast(study: StudyView, find: Callable[[str, str], RunView | None], now: float) -> Forecast:
    """Forecast a study from the marks of what runs and the times of what was written.

    Args:
        find: finds the run of a trial by the names of study and trial.
    """
    trials = {trial.key: trial.name for trial in study.outline.trials}
    marks = sorted(study.running.items(), key=lambda item: item[1].time)
    running = []
    for key, mark in marks:
        if key in study.done:
            continue
        run = find(study.name, trials[key]) if key in trials else None
        running.append(
            InProgress(mark.name, max(0.0, now - mark.time), _loss(run, now - mark.time))
        )
    ready = study.ready
    cell_s = _cell_time(study)
    started = len(study.by_status["running"])
    return Forecast(
        tuple(running),
        tuple(_name(entry) for entry in ready[:NEXT]),
        len(study.by_status["missing"]) - len(ready),
        cell_s,
        None if cell_s is None else cell_s * (len(ready) + started),
    )


def _loss(run: RunView | None, age_s: float) -> str:
    if run is None:
        return f"its {duration(max(0.0, age_s))}: it is written whole at its end"
    lost = run.step - run.saved_step
    if lost <= 0:
        return "the step in progress alone"
    kept = (
        f"a checkpoint of step {run.saved_step} is kept" if run.saved_step else "no checkpoint yet"
    )
    return f"{lost} steps, about {duration(lost * (run.step_s or 0.0))}: {kept}"


def _cell_time(study: StudyView) -> float | None:
    """Return the median gap between the latest finished cells, in seconds."""
    done = study.by_status["done"][-SAMPLE:]
    times = [study.written_at(entry.cell.key) for entry in done]
    written = sorted(time for time in times if time is not None)
    gaps: Sequence[float] = [after - before for before, after in pairwise(written)]
    return median(gaps) if len(gaps) > 1 else None


def _name(entry: Entry) -> str:
    cell = entry.cell
    return f"{cell.subject.name}: {cell.condition.task}, {cell.condition.protocol}"
