"""Speedup of async over sync mode, with generation and update of equal duration: at most 2.

    python tests/benchmarks/async_speedup.py

Servers and learner sleep in each call, far longer than they compute, so that other load on the
machine hardly matters. Last line: one JSON object.
"""

import json
import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from loop_phases import Quiet, run_config
from rich.console import Console
from rich.table import Table

from cluster.inference.server import InferenceServer
from cluster.learner.rank import LearnerRank
from cluster.runtime.batching import CALLS_EACH
from cluster.runtime.session import ray_session
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.controller import Controller
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.metrics import read_metrics

STAGE_S = 2.0
"""Duration of a step's generation, and of its update."""
WARM_UP = 2
STALENESS = 1


class SlowServer(InferenceServer):
    """A server that sleeps before it generates each of the equal calls of a step."""

    def generate(self, *arguments: Any) -> Any:
        time.sleep(STAGE_S / CALLS_EACH)
        return super().generate(*arguments)


class SlowRank(LearnerRank):
    """A rank that sleeps before it updates."""

    def update(self, *arguments: Any) -> Any:
        time.sleep(STAGE_S)
        return super().update(*arguments)


def seconds_a_step(folder: Path, mode: Literal["sync", "async"]) -> float:
    """Measure the mean seconds of a step after the warm-up."""
    config = slow_config(folder, mode)
    with ray_session(config.runtime):
        actors = RunActors(config, server=SlowServer, rank=SlowRank)
        try:
            Controller(config, actors, Quiet(), StopRequest()).train()
        finally:
            actors.stop()
    rows = read_metrics(config.folder)
    most = STALENESS if mode == "async" else 0
    assert all(row["policy/staleness"] <= most for row in rows)
    return fmean(row["time/step_s"] for row in rows[WARM_UP:])


def slow_config(folder: Path, mode: str) -> RunConfig:
    tree = run_config(folder, mode, prompts=8, group=8).model_dump(mode="json")
    tree["runtime"] |= {"mode": mode, "max_staleness": STALENESS, "batching": "fixed"}
    return validate(tree)


def measure() -> dict[str, float]:
    """Measure `async_vs_sync`, the ratio of the seconds of a step."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = {mode: seconds_a_step(Path(folder), mode) for mode in ("sync", "async")}
    table = Table("mode", "s a step")
    for mode, spent in seconds.items():
        table.add_row(mode, f"{spent:.2f}")
    Console(width=100).print(table)
    return {"async_vs_sync": seconds["sync"] / seconds["async"]}


if __name__ == "__main__":
    print(json.dumps({name: round(value, 2) for name, value in measure().items()}))
