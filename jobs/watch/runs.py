"""The runs in a folder, and what their files say of them."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from physrl.config import RunConfig
from physrl.config.load import parse_config
from physrl.errors import PhysRLError
from physrl.metrics.lines import read_metrics
from physrl.storage.checkpoints import FOLDER as CHECKPOINTS
from physrl.storage.run_files import CONFIG
from physrl.types import Metrics

PATIENCE = 10
"""Usual step times without a new line after which a run counts as stalled."""
LEAST_PATIENCE_S = 120.0
SKIPPED = {CHECKPOINTS, "rollouts", "evaluation", "report"}
"""Folders of a run that hold no runs."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as its folder shows it at one moment."""

    folder: Path
    config: RunConfig | None
    """None if config.yaml cannot be read."""
    history: tuple[Metrics, ...]
    """Rows of metrics.jsonl, in order."""
    problem: str = ""
    """Reason why a file cannot be read; empty if all can."""

    @property
    def name(self) -> str:
        return self.folder.name if self.config is None else self.config.name

    @property
    def step(self) -> int:
        """Last finished step; 0 before the first."""
        return int(self.history[-1]["step"]) if self.history else 0

    @property
    def steps(self) -> int | None:
        """Planned number of steps; None without a readable configuration."""
        return None if self.config is None else self.config.algorithm.steps

    @property
    def step_s(self) -> float | None:
        """Median duration of the last steps in seconds; None before the first."""
        times = [row["time/step_s"] for row in self.history[-20:] if "time/step_s" in row]
        return median(times) if times else None

    def silence_s(self, now: float) -> float | None:
        """Return the seconds since the last line; None before the first."""
        return max(0.0, now - self.history[-1]["time"]) if self.history else None

    def state(self, now: float) -> str:
        """Say in words whether the run waits, goes on, is done, or has stalled.

        Nothing records that a run was stopped or failed, so both look stalled.
        """
        silence = self.silence_s(now)
        if silence is None:
            return "waiting: no step yet"
        if self.steps is not None and self.step >= self.steps:
            return "done"
        usual = self.step_s or 0.0
        if silence > max(LEAST_PATIENCE_S, PATIENCE * usual):
            return (
                f"stalled, stopped or failed: silent for {duration(silence)}, "
                f"a step takes {duration(usual)}"
            )
        return "running"

    def left_s(self, now: float) -> float | None:
        """Return the seconds left by the run's own step time; None if it is not running."""
        if self.steps is None or self.step_s is None or self.state(now) != "running":
            return None
        return (self.steps - self.step) * self.step_s


def duration(seconds: float) -> str:
    """Write a duration in the largest fitting unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def find_runs(place: Path) -> Iterator[Path]:
    """Find the folders of runs in a folder, in order; a folder without runs yields none."""
    for current, folders, names in os.walk(place):
        if CONFIG in names:
            yield Path(current)
            folders[:] = [name for name in folders if name not in SKIPPED]
        folders[:] = sorted(name for name in folders if not name.startswith("."))


def read_run(folder: Path) -> RunView:
    """Read a run; what cannot be read becomes its `problem`."""
    config, history, problem = None, [], ""
    try:
        config = parse_config((folder / CONFIG).read_text(), str(folder / CONFIG))
    except (OSError, ValueError, PhysRLError) as error:
        problem = f"{CONFIG} cannot be read: {error}"
    try:
        history = read_metrics(folder)
    except PhysRLError as error:
        problem = str(error)
    return RunView(folder, config, tuple(history), problem)


def now() -> float:
    """Return the time in seconds since 1970."""
    return time.time()
