"""Where a step's time went, and what became of the actors meanwhile."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from cluster.runtime.actor_pool import pool_metrics
from cluster.training.actors import Cluster
from physrl.tracing import Span
from physrl.types import Metrics

LEARNING = ("updating", "syncing")
"""Phases in which the learner works."""


class ShowsPhase(Protocol):
    """Shows a person what happens."""

    def phase(self, name: str) -> None:
        """What happens now."""
        ...


class StepMeter:
    """Counts what happens from one step's end to the next one's, a checkpoint between included."""

    def __init__(self, cluster: Cluster, reporter: ShowsPhase) -> None:
        self._cluster, self._reporter = cluster, reporter
        self._pools = {
            "rollout_workers": cluster.rollouts.pool,
            "inference_servers": cluster.servers.pool,
        }
        self._start()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase, and show it."""
        self._reporter.phase(name)
        began = time.monotonic()
        try:
            with self._cluster.trace.span(name, "controller"):
                yield
        finally:
            key = name.replace(" ", "_")
            self._times[key] = self._times.get(key, 0.0) + time.monotonic() - began

    def read(self, step_s: float) -> tuple[Metrics, tuple[Span, ...]]:
        """The metrics since the last reading, and what actors were called for.

        Args:
            step_s: how long the step itself took.
        """
        elapsed = time.monotonic() - self._began
        metrics = {f"time/{phase}_s": spent for phase, spent in self._times.items()}
        metrics["time/step_s"] = step_s
        for name, pool in self._pools.items():
            slots = elapsed * len(pool.handles)
            metrics |= pool_metrics(name, self._before[name], pool.statistics, slots)
        worked = sum(self._times.get(phase, 0.0) for phase in LEARNING)
        lost = self._cluster.learners.recoveries_s[self._recoveries :]
        metrics |= {
            "idle/learner": 1 - worked / elapsed,
            "faults/learner_restarts": float(len(lost)),
            "faults/quarantined_scenes": float(self._quarantined() - self._left_out),
        }
        if lost:
            metrics["faults/learner_recovery_s"] = max(lost)
        spans = self._cluster.trace.drain()
        self._start()
        return metrics, spans

    def _start(self) -> None:
        self._began = time.monotonic()
        self._times: Metrics = {}
        self._before = {name: pool.statistics for name, pool in self._pools.items()}
        self._recoveries = len(self._cluster.learners.recoveries_s)
        self._left_out = self._quarantined()

    def _quarantined(self) -> int:
        return len(self._cluster.rollouts.quarantine.scenes)
