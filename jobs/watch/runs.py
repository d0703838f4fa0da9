"""What a run's files say of it at one moment."""

import time
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from jobs.watch.listed_store import ListedStore
from jobs.watch.trial_curves import TrialCurves, median_time, thin_out
from physrl.config import RunConfig
from physrl.config.load import Tree, parse_config, validate
from physrl.errors import MissingObjectError, PhysRLError
from physrl.metrics.lines import FILE as METRICS
from physrl.metrics.lines import parse_metrics
from physrl.storage.checkpoints import FOLDER as CHECKPOINTS
from physrl.storage.checkpoints import step_of
from physrl.storage.manifest import MANIFEST
from physrl.storage.object_store import Entry
from physrl.storage.run_files import CONFIG
from physrl.types import Metrics

PATIENCE = 10
"""Usual step times without a new line after which a run counts as stalled."""
LEAST_PATIENCE_S = 120.0
TAIL = 2**16
"""Bytes at the end of the metrics in which the last steps are looked for."""
LAST_ROWS = 20


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as its files show it at one moment."""

    location: str
    config: RunConfig | None
    """None if config.yaml cannot be read."""
    rows: tuple[Metrics, ...]
    """Last rows of metrics.jsonl, in order."""
    saved_step: int = 0
    """Step of the last complete checkpoint; 0 without any."""
    problem: str = ""
    """Reason why a file cannot be read; empty if all can."""

    @property
    def name(self) -> str:
        return self.location.rpartition("/")[2] if self.config is None else self.config.name

    @property
    def step(self) -> int:
        """Last finished step; 0 before the first."""
        return int(self.rows[-1]["step"]) if self.rows else 0

    @property
    def steps(self) -> int | None:
        """Planned number of steps; None without a readable configuration."""
        return None if self.config is None else self.config.algorithm.steps

    @property
    def step_s(self) -> float | None:
        """Median duration of the last steps in seconds; None before the first."""
        return median_time(self.rows)

    @property
    def gpu_hours(self) -> float:
        """GPU hours so far, by the usual duration of a step."""
        if self.config is None:
            return 0.0
        return self.step * (self.step_s or 0.0) * self.config.runtime.gpus / 3600

    def silence_s(self, now: float) -> float | None:
        """Return the seconds since the last line; None before the first."""
        time_of = self.rows[-1].get("time") if self.rows else None
        return max(0.0, now - time_of) if isinstance(time_of, int | float) else None

    def state(self, now: float) -> str:
        """Name the state: waiting, running, done or stalled.

        Nothing records that a run was stopped or failed, so both look stalled.
        """
        silence = self.silence_s(now)
        if silence is None:
            return "waiting"
        if self.steps is not None and self.step >= self.steps:
            return "done"
        return "stalled" if silence > self._patience_s else "running"

    def state_words(self, now: float) -> str:
        """Describe the state."""
        match self.state(now):
            case "waiting":
                return "waiting: no step yet"
            case "stalled":
                return (
                    f"stalled, stopped or failed: silent for {duration(self.silence_s(now) or 0)}, "
                    f"a step takes {duration(self.step_s or 0)}"
                )
            case state:
                return state

    def left_s(self, now: float) -> float | None:
        """Return the seconds left by the run's own step time; None if it is not running."""
        if self.steps is None or self.step_s is None or self.state(now) != "running":
            return None
        return (self.steps - self.step) * self.step_s

    @property
    def _patience_s(self) -> float:
        return max(LEAST_PATIENCE_S, PATIENCE * (self.step_s or 0.0))


class Runs:
    """Reads runs, each again only after its files have changed."""

    def __init__(self) -> None:
        self._configs: dict[str, tuple[Entry | None, RunConfig | None, str]] = {}
        self._planned: dict[str, tuple[Tree, RunConfig | None, str]] = {}
        self._curves: dict[str, tuple[Entry | None, TrialCurves | None]] = {}
        self._rows: dict[str, tuple[Entry | None, tuple[Metrics, ...], str]] = {}

    def read(self, run: ListedStore) -> RunView:
        """Read a run; what cannot be read becomes its `problem`."""
        config, problem = self._config(run)
        rows, other = self._tail(run)
        return RunView(run.location, config, rows, saved_step(run), problem or other)

    def read_trial(self, run: ListedStore, tree: Tree) -> RunView:
        """Read the run of a trial, whose plan has its configuration: YAML is slow to read."""
        known = self._planned.get(run.location)
        if known is None or known[0] is not tree:
            try:
                known = self._planned[run.location] = tree, validate(tree), ""
            except PhysRLError as error:
                known = self._planned[run.location] = tree, None, str(error)
        rows, other = self._tail(run)
        return RunView(run.location, known[1], rows, saved_step(run), known[2] or other)

    def curves(self, run: ListedStore) -> TrialCurves | None:
        """Read the curves of a run so far; None before its first step."""
        entry, known = run.entry(METRICS), self._curves.get(run.location)
        if known is None or known[0] != entry:
            rows, _ = read_history(run)
            found = thin_out(rows, 0.0) if rows else None
            known = self._curves[run.location] = entry, found
        return known[1]

    def _config(self, run: ListedStore) -> tuple[RunConfig | None, str]:
        entry, known = run.entry(CONFIG), self._configs.get(run.location)
        if known is None or known[0] != entry:
            config, problem = None, ""
            try:
                text = run.get(CONFIG).decode()
                config = parse_config(text, f"{run.location}/{CONFIG}")
            except (ValueError, PhysRLError) as error:
                problem = f"{CONFIG} cannot be read: {' '.join(str(error).split())}"
            known = self._configs[run.location] = entry, config, problem
        return known[1:]

    def _tail(self, run: ListedStore) -> tuple[tuple[Metrics, ...], str]:
        entry, known = run.entry(METRICS), self._rows.get(run.location)
        if known is None or known[0] != entry:
            rows, problem = _last_rows(run, entry)
            known = self._rows[run.location] = entry, rows, problem
        return known[1:]


def read_history(run: ListedStore) -> tuple[list[dict[str, Any]], str]:
    """Read all rows of a run's metrics, and the reason why some cannot be read."""
    try:
        return parse_metrics(run.get(METRICS), f"{run.location}/{METRICS}"), ""
    except MissingObjectError:
        return [], ""
    except PhysRLError as error:
        return [], str(error)


def saved_step(run: ListedStore) -> int:
    """Return the step of the last complete checkpoint; 0 without any."""
    folder = f"{run.folder}/{CHECKPOINTS}/" if run.folder else f"{CHECKPOINTS}/"
    steps = (
        step_of(place.removeprefix(folder))
        for place, names in run.listed.folders.items()
        if place.startswith(folder) and MANIFEST in names
    )
    return max((step for step in steps if step is not None), default=0)


def duration(seconds: float) -> str:
    """Write a duration in the largest fitting unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def now() -> float:
    """Return the time in seconds since 1970."""
    return time.time()


def _last_rows(run: ListedStore, entry: Entry | None) -> tuple[tuple[Metrics, ...], str]:
    """Read the last rows; a torn last line is one that is being written."""
    if entry is None:
        return (), ""
    try:
        data = run.tail(METRICS, TAIL)
    except PhysRLError as error:
        return (), str(error)
    lines = data.split(b"\n")[:-1]
    if len(data) < entry.size and len(lines) > 1:
        lines = lines[1:]  # the first one is cut
    rows = []
    for line in lines[-LAST_ROWS:]:
        try:
            row = dict(from_json(line))
            int(row["step"])
            rows.append(row)
        except (ValueError, TypeError, KeyError, OverflowError):
            return tuple(rows), f"{run.location}/{METRICS} has a damaged line: remove it"
    return tuple(rows), ""
