"""Measurement of a step's times, of idle actors and of recoveries."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.runtime.actor_pool import pool_metrics
from cluster.training.actors import RunActors
from cluster.training.reporter import Reporter
from physrl.tracing import Span
from physrl.types import Metrics

LEARNING = ("updating", "syncing")
"""Phases of a step in which the learner is busy."""


class StepMeter:
    """The meter of a step, which measures from one `read` to the next, checkpoints included."""

    def __init__(self, actors: RunActors, reporter: Reporter) -> None:
        self._actors, self._reporter = actors, reporter
        self._pools = {
            "rollout_workers": actors.rollouts.pool,
            "inference_servers": actors.servers.pool,
        }
        self._start()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure and show a phase."""
        self._reporter.phase(name)
        began = time.monotonic()
        try:
            with self._actors.trace.span(name, "controller"):
                yield
        finally:
            key = name.replace(" ", "_")
            self._times[key] = self._times.get(key, 0.0) + time.monotonic() - began

    def read(self, step_s: float) -> tuple[Metrics, tuple[Span, ...]]:
        """Return the metrics and the spans of actors' calls since the last reading.

        Args:
            step_s: duration of the step itself, in seconds.
        """
        elapsed = time.monotonic() - self._began
        metrics = {f"time/{phase}_s": spent for phase, spent in self._times.items()}
        metrics["time/step_s"] = step_s
        for name, pool in self._pools.items():
            actor_seconds = elapsed * len(pool.handles)
            metrics |= pool_metrics(name, self._before[name], pool.statistics, actor_seconds)
        worked = sum(self._times.get(phase, 0.0) for phase in LEARNING)
        lost = self._actors.learner.recoveries_s[self._recoveries :]
        metrics |= {
            "idle/learner": 1 - worked / elapsed,
            "faults/learner_restarts": float(len(lost)),
            "faults/quarantined_scenes": float(self._count_quarantined() - self._quarantined),
        }
        if lost:
            metrics["faults/learner_recovery_s"] = max(lost)
        spans = self._actors.trace.drain()
        self._start()
        return metrics, spans

    def _start(self) -> None:
        self._began = time.monotonic()
        self._times: Metrics = {}
        self._before = {name: pool.statistics for name, pool in self._pools.items()}
        self._recoveries = len(self._actors.learner.recoveries_s)
        self._quarantined = self._count_quarantined()

    def _count_quarantined(self) -> int:
        return len(self._actors.rollouts.quarantine.scenes)
