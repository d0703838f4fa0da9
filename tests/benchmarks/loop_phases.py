"""Share of a step that is neither generation, simulation, forward, backward nor optimizer.

    python tests/benchmarks/loop_phases.py

Trains an adapter on the tiny base in sync mode, with actors that note when they compute. The time
in which none of them does is the loop's overhead: calls of Ray, serialization, collation,
advantages, files. Last line: one JSON object.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from noted_work import NOTES, NotingRank, NotingServer, NotingWorker, Work, read_notes
from rich.console import Console
from rich.table import Table

from cluster.runtime.session import ray_session
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.controller import Controller
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.metrics import read_metrics
from physrl.types import Metrics

ROOT = Path(__file__).parents[2]
WARM_UP = 2
WORK = ("generation", "simulation", "learner")
SIZES = {"short": (8, 8), "long": (32, 16)}
"""Prompts a step and completions a prompt."""


class Quiet:
    """A reporter that shows nothing."""

    def phase(self, name: str) -> None: ...

    def step(self, step: int, metrics: Metrics) -> None: ...


def run_config(folder: Path, name: str, prompts: int, group: int) -> RunConfig:
    return validate(
        {
            "name": name,
            "output": str(folder),
            "model": {
                "path": str(ROOT / "assets" / "tiny-base"),
                "lora": {"rank": 16, "vision": True},
                "max_prompt_tokens": 96,
            },
            "algorithm": {
                "steps": 12,
                "prompts_per_step": prompts,
                "group_size": group,
                "lr": 1e-3,
                "max_grad_norm": 1.0,
            },
            "checkpoint": {"every": 100},
            "runtime": {"batching": "fixed"},
        }
    )


def covered(work: Sequence[Work], kinds: Sequence[str], start: float, end: float) -> float:
    """Compute the seconds between two times in which work of these kinds was done."""
    pieces = sorted(
        (max(each.start, start), min(each.end, end))
        for each in work
        if each.kind in kinds and each.start < end and each.end > start
    )
    seconds, until = 0.0, start
    for begin, finish in pieces:
        seconds += max(0.0, finish - max(begin, until))
        until = max(until, finish)
    return seconds


def measure() -> dict[str, float]:
    """Measure `loop_overhead` and `sync_share` of long and short steps, medians over steps."""
    figures: dict[str, float] = {}
    table = Table("steps", "s", *WORK, "sync", "overhead")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ[NOTES] = str(folder / "notes")
        (folder / "notes").mkdir()
        first = run_config(folder, "first", *SIZES["short"])
        with ray_session(first.runtime):
            actors = RunActors(first, worker=NotingWorker, server=NotingServer, rank=NotingRank)
            try:
                for size, counts in SIZES.items():
                    config = run_config(folder, size, *counts)
                    Controller(config, actors, Quiet(), StopRequest()).train()
                    rows = read_metrics(config.folder)[WARM_UP:]
                    figures |= shares(size, rows, read_notes(), table)
            finally:
                actors.stop()
    Console(width=100).print(table)
    return figures


def shares(
    size: str, rows: Sequence[Metrics], work: Sequence[Work], table: Table
) -> dict[str, float]:
    steps = [(row["time"] - row["time/step_s"], row["time"], row["time/step_s"]) for row in rows]
    part = {
        kind: median(covered(work, (kind,), start, end) / s for start, end, s in steps)
        for kind in (*WORK, "sync")
    }
    overhead = median(1 - covered(work, WORK, start, end) / s for start, end, s in steps)
    seconds = median(s for _, _, s in steps)
    table.add_row(size, f"{seconds:.2f}", *(f"{p:.1%}" for p in part.values()), f"{overhead:.1%}")
    suffix = "" if size == "long" else f"_{size}"
    return {f"loop_overhead{suffix}": overhead, f"sync_share{suffix}": part["sync"]}


if __name__ == "__main__":
    print(json.dumps({name: round(value, 4) for name, value in measure().items()}))
