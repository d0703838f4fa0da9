"""Results of a study, read behind its page: each once, since none ever changes.

A large study's answers take a minute to read. Its page is shown at once, with the state of every
cell, and fills with success rates, curves and verdicts as they are read.
"""

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from typing import Any

from jobs.sizing.costs import Cost, study_costs
from jobs.watch.judgement import Judgement, judge_study
from jobs.watch.page_lock import PageLock
from jobs.watch.trial_curves import TrialCurves, thin_out
from physrl.errors import PhysRLError, reason_of
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.cells import CellStore
from physrl.evaluation.matrix import Matrix
from physrl.evaluation.plan_file import StudyOutline
from physrl.evaluation.probe_results import ProbeResult
from physrl.evaluation.scores import CellScores

NEEDED = ("pyarrow", "scipy")
"""Packages that answers and claims need, and the light client lacks."""
CLAIMS = "claims"
"""Key of the reason why claims cannot be judged."""
JUDGE_AFTER_S, JUDGE_SHARE = 10.0, 5.0
"""Shortest time between two judgements, and its least multiple of a judgement's duration."""


class Reading:
    """The results of one study that have been read so far, and a thread that reads the others.

    Args:
        store: results of the study.
        outline: outline of its plan.
        page_lock: turns of the pages, for which the thread waits.
    """

    def __init__(self, store: CellStore, outline: StudyOutline, page_lock: PageLock) -> None:
        self._store, self._outline, self._page_lock = store, outline, page_lock
        self.scores: dict[str, CellScores] = {}
        self.trained: dict[str, TrialCurves] = {}
        self.adaptations: dict[str, AdaptationCurve] = {}
        self.probes: dict[str, ProbeResult] = {}
        self.problems: dict[str, str] = {}
        """Reasons why results cannot be read, by key."""
        self.costs: list[Cost] | None = None
        """Costs by the plan; None until they are estimated."""
        self.judgement: Judgement | None = None
        lacking = [name for name in NEEDED if find_spec(name) is None]
        self.lacking = f"answers and claims need {' and '.join(lacking)}" if lacking else ""
        self._done: frozenset[str] = frozenset()
        self._matrix: Matrix | None = None
        self._judged_at, self._judging_s = time.monotonic(), 0.0
        self._work, self._idle = threading.Event(), threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="reading")

    @property
    def left(self) -> int:
        """Number of results that exist and have not been read."""
        return sum(1 for _ in self._unread())

    def update(self, matrix: Matrix, done: frozenset[str]) -> None:
        """Tell which results exist; the thread starts to read them after the page."""
        if matrix is self._matrix:
            return
        self._matrix, self._done = matrix, done
        self.problems = {key: line for key, line in self.problems.items() if key in done}
        self._idle.clear()
        self._work.set()
        if not self._thread.is_alive() and not self._closed:
            self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until everything has been read and judged; return whether it has."""
        return self._idle.wait(seconds)

    def close(self) -> None:
        """End the thread after what it is reading."""
        self._closed = True
        self._work.set()

    def _run(self) -> None:
        while not self._closed:
            self._work.wait()
            self._work.clear()
            for read in self._unread():
                if self._closed:
                    return
                self._page_lock.wait()
                read()
                if time.monotonic() - self._judged_at > self._pause_s:
                    self._judge()
            self._judge()
            if not self._work.is_set():
                self._idle.set()

    @property
    def _pause_s(self) -> float:
        return max(JUDGE_AFTER_S, JUDGE_SHARE * self._judging_s)

    def _unread(self) -> Iterable[Callable[[], None]]:
        """List what to read: trials first, since all of their curves may be on the page."""
        outline, store = self._outline, self._store
        kinds: list[tuple[Iterable[Any], dict[str, Any], Callable[[str], Any]]] = [
            (outline.trials, self.trained, self._read_trained),
            (outline.adaptations, self.adaptations, store.read_adaptation),
        ]
        if not self.lacking:
            kinds += [
                (outline.cells, self.scores, store.read_scores),
                (outline.probes, self.probes, store.read_probe),
            ]
        done = self._done
        for specs, found, read in kinds:
            for spec in specs:
                key = spec.key
                if key in done and key not in found and key not in self.problems:
                    yield partial(self._read, key, found, read)

    def _read(self, key: str, found: dict[str, Any], read: Callable[[str], Any]) -> None:
        try:
            result = read(key)
        except PhysRLError as error:
            self.problems[key] = str(error)
            return
        if result is None:
            self.problems[key] = f"result {key} has been deleted"
        else:
            found[key] = result

    def _read_trained(self, key: str) -> TrialCurves | None:
        trained = self._store.read_trained(key)
        return None if trained is None else thin_out(trained.metrics, trained.seconds)

    def _judge(self) -> None:
        """Judge the claims by what has been read; an error of one study leaves the others."""
        matrix, began = self._matrix, time.monotonic()
        if self.lacking or matrix is None:
            return
        try:
            plan = self._store.read_plan(self._outline.name)
            self.costs = study_costs(plan)
            self.judgement = judge_study(
                plan, matrix, self._store, self.scores, self.adaptations, self.probes
            )
            self.problems.pop(CLAIMS, None)
        except Exception as error:  # damaged results break what assumes that they are whole
            self.problems[CLAIMS] = f"claims cannot be judged: {reason_of(error)}"
        self._judged_at = time.monotonic()
        self._judging_s = self._judged_at - began
