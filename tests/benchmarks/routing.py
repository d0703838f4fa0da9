"""Routing of prompts to servers that only wait: how busy they are, and how long steps take.

    python tests/benchmarks/routing.py

Servers and workers of `values-gpu-large.yaml` as threads (`waiting_actors.py`), with continuous
batching. Last line: {"servers_busy", "step_over_ideal", "cells_speedup_16"}.

- `servers_busy`: share of the time in which a server generates at least one sequence, in async mode
  with staleness 1 and updates that take no time; up to the start of the last steps, after which
  there is nothing to generate.
- `step_over_ideal`: duration of a step in sync mode over the larger of its longest completion and
  its tokens over the capacity.
- `cells_speedup_16`: 320 equal cells of 320 adapters on one server, over the same on 16.
"""

import json
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from waiting_actors import TOKEN_S, Interval, Lengths, WaitingActors

from cluster.rollout.queue import RolloutQueue
from cluster.study.events import Finished
from cluster.study.served_cells import ADAPTERS, ServedCells, compute_served
from cluster.training.actors import adapter_slots
from cluster.training.rl_steps import most_sequences
from cluster.weights.sync import Policy
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.config.runtime import RuntimeConfig
from physrl.evaluation.specs import CellSpec, Subject
from physrl.rollout import step_indices, training_request
from physrl.scene_source import scene_source
from tests.support.small_studies import two_task_plan

VALUES = Path(__file__).parents[2] / "helm" / "physrl" / "values-gpu-large.yaml"
SLOTS, LONGEST = 64, 2048
SYNC_STEPS, ASYNC_STEPS = 4, 16
CELLS, SCENES, CELL_TOKENS, CELL_SLOTS = 320, 4, 150, 16
"""Few scenes and slots, so that a busy core's time for each prompt does not count."""


def run_config(mode: str) -> RunConfig:
    """Make the chart's configuration for many GPUs."""
    tree: dict[str, Any] = yaml.safe_load(VALUES.read_text())["configs"]["place-7b"]
    tree["model"]["max_completion_tokens"] = LONGEST
    tree["runtime"] |= {"mode": mode, "max_num_seqs": SLOTS, "batching": "continuous"}
    return validate(tree)


def run_steps(config: RunConfig, steps: int) -> tuple[list[float], list[list[Interval]]]:
    """Run steps without updates; return when each ended, and when servers generated what."""
    runtime, algorithm = config.runtime, config.algorithm
    actors = WaitingActors(runtime, adapter_slots(runtime), Lengths())
    source = scene_source(config, config.task, "train")
    limit = most_sequences(runtime, algorithm.completions_per_step)
    queue = RolloutQueue(
        actors.rollouts,
        lambda step: training_request(config, step, source, step_indices(config, step)),
        steps,
        runtime.staleness,
        limit,
    )
    ends = [time.monotonic()]
    for step in range(steps):
        groups = queue.take(step).result()
        assert len(groups) == algorithm.prompts_per_step
        policy = Policy("policy", step + 1, "adapter", "/nowhere")
        actors.servers.serve(policy, wait=False)
        ends.append(time.monotonic())
        queue.begin(step + 1)
    actors.loop.stop()
    return ends, actors.intervals()


def busy_share(intervals: list[Interval], begin: float, end: float) -> float:
    """Return the share of a time in which at least one interval lasts."""
    busy, reached = 0.0, begin
    for each in sorted(intervals):
        last = min(each.end, end)
        busy += max(0.0, last - max(each.begin, reached))
        reached = max(reached, last)
    return busy / (end - begin)


def measure_async() -> tuple[float, float]:
    """Measure how busy servers are, and the seconds of a step."""
    config = run_config("async")
    ends, servers = run_steps(config, ASYNC_STEPS)
    begin, end = ends[0], ends[-1 - config.runtime.staleness]
    busy = fmean(busy_share(intervals, begin, end) for intervals in servers)
    return busy, (ends[-1] - ends[0]) / ASYNC_STEPS


def measure_sync() -> tuple[float, float]:
    """Measure a step over its ideal duration, and its seconds."""
    config = run_config("sync")
    ends, servers = run_steps(config, SYNC_STEPS)
    ratios = []
    for begin, end in pairwise(ends):
        generated = [i.end - i.begin for each in servers for i in each if begin <= i.begin < end]
        capacity = SLOTS * len(servers)
        ratios.append((end - begin) / max(max(generated), sum(generated) / capacity))
    return fmean(ratios), (ends[-1] - ends[0]) / SYNC_STEPS


def equal_cells() -> list[CellSpec]:
    """Make the cells of many adapters on the same scenes."""
    cell = two_task_plan().cells[0]
    settings = replace(cell.settings, scenes=SCENES)
    return [
        CellSpec(f"cell-{n}", Subject("trained", f"s{n}", f"s{n}"), cell.condition, settings)
        for n in range(CELLS)
    ]


def cells_seconds(servers: int) -> float:
    """Measure the seconds of all cells on so many servers."""
    runtime = RuntimeConfig(
        inference_servers=servers,
        rollout_workers=ADAPTERS * servers,
        max_num_seqs=CELL_SLOTS,
        batching="continuous",
    )
    actors: Any = WaitingActors(runtime, ADAPTERS, Lengths(CELL_TOKENS))
    cells = equal_cells()
    policies = {c.subject: Policy(c.subject.key, 0, "adapter", "/nowhere") for c in cells}
    store: Any = SimpleNamespace(write_cell=lambda key, result: None)
    served = ServedCells(actors, ())
    began = time.monotonic()
    events = list(compute_served(served, cells, policies, store, ADAPTERS * servers))
    spent = time.monotonic() - began
    failures = [event.failure for event in events if isinstance(event, Finished)]
    assert failures == [None] * CELLS
    actors.loop.stop()
    return spent


def main() -> None:
    """Measure everything, and print it."""
    busy, async_s = measure_async()
    over, sync_s = measure_sync()
    one, many = cells_seconds(1), cells_seconds(16)
    table = Table("", "seconds", "tokens' time")
    rows = {"async step": async_s, "sync step": sync_s, "cells, 1": one, "cells, 16": many}
    for name, seconds in rows.items():
        table.add_row(name, f"{seconds:.2f}", f"{seconds / TOKEN_S:.0f}")
    Console(width=100).print(table)
    figures = {"servers_busy": busy, "step_over_ideal": over, "cells_speedup_16": one / many}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
