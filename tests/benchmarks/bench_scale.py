"""The real controller, its pools and its queue over stubs of a cluster's actors.

    python tests/benchmarks/bench_scale.py [--servers 8 64]

Stubs wait as long as decoding, updates, rendering and physics take in `scale_model.py`, and hold
recorded groups of 16 completions at 448 px (`scale_actors.py`). All of them, the object store and
the controller share this machine, so steps are longer than on a cluster; the controller's CPU time
and bytes are its own.

The model of queues is then fed with the largest scale's controller. Last line: {"controller_ms",
"driver_bytes", "busy_1000", "step_1000_s", "sync_growth"}.
"""

import argparse
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table
from scale_actors import Costs, DriverBytes, hosted, inlined_bytes
from scale_model import (
    GROUP,
    PROMPTS_PER_GPU,
    SETTINGS,
    Assumed,
    Recorded,
    measure,
    record,
    simulate,
)

from cluster.runtime.session import ray_session
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.controller import Controller
from physrl.config import load_config
from physrl.config.run import RunConfig
from physrl.metrics import read_metrics
from physrl.types import Metrics

ROOT = Path(__file__).parents[2]
SERVERS = (8, 64)
WARM_UP = 2
AHEAD = 3
"""Steps after the last measured one, so that as much is sampled during it as during the others."""
MODELLED = (1000, 4000)
STORE_MB = 3000


@dataclass(frozen=True, slots=True)
class Scale:
    """What one scale measured."""

    servers: int
    prompts: int
    """Prompts a step."""
    controller_ms: float
    """CPU milliseconds of the controller's process a prompt, all threads."""
    driver_bytes: float
    """Bytes a prompt that the process packs and unpacks, or that Ray carries through it."""
    idle: float
    """Share of the time in which a server had no call."""
    step_s: float
    sync_s: float
    """Seconds until all servers have loaded a new policy."""


class Marks:
    """A reporter that notes the process's CPU time and bytes after each step, and stops a run.

    Args:
        steps: number of steps of the run; later ones have been begun by then.
    """

    def __init__(self, driver: DriverBytes, stop: StopRequest, steps: int) -> None:
        self._driver, self._stop, self._steps = driver, stop, steps
        self.cpu_s: list[float] = []
        self.counted: list[int] = []

    def phase(self, name: str) -> None: ...

    def step(self, step: int, metrics: Metrics) -> None:
        self.cpu_s.append(time.process_time())
        self.counted.append(self._driver.total)
        self._stop.requested = step == self._steps


def run_config(folder: Path, servers: int, steps: int, assumed: Assumed) -> RunConfig:
    """Make the configuration of a run whose cluster has so many servers."""
    gpus = round(servers / assumed.server_share)
    return load_config(
        None,
        [
            *SETTINGS,
            f"name=scale-{servers}",
            f"output={folder}",
            f"model.path={ROOT / 'assets' / 'tiny-base'}",
            "model.lora.rank=16",
            f"algorithm.steps={steps + AHEAD}",
            f"algorithm.prompts_per_step={PROMPTS_PER_GPU * gpus}",
            f"algorithm.group_size={GROUP}",
            "checkpoint.every=1000",
            "evaluation.every=0",
            "runtime.mode=async",
            f"runtime.inference_servers={servers}",
            f"runtime.learner_ranks={gpus - servers}",
            f"runtime.rollout_workers={round(gpus * assumed.cores_per_gpu)}",
            "runtime.batching=continuous",
            f"runtime.max_num_seqs={GROUP * assumed.slots}",
            f"runtime.object_store_mb={STORE_MB}",
        ],
    )


def run(config: RunConfig, steps: int, recorded: Recorded, assumed: Assumed) -> Scale:
    """Train for some steps over stubs."""
    runtime, prompts = config.runtime, config.algorithm.prompts_per_step
    tokens = prompts * GROUP * (assumed.prompt_tokens + assumed.completion_tokens)
    costs = Costs(recorded, assumed, tokens / (runtime.learner_ranks * assumed.learn_per_s))
    driver = DriverBytes()
    stop = StopRequest()
    marks = Marks(driver, stop, steps)
    with ray_session(runtime), hosted(costs):
        inlined = inlined_bytes(recorded)
        with driver.counting():
            actors = RunActors(config)
            Controller(config, actors, marks, stop).train()
            began = time.monotonic()
            policy = replace(actors.servers.policy, version=actors.servers.policy.version + 1)
            actors.servers.serve(policy, wait=True)
            sync_s = time.monotonic() - began
    rows = read_metrics(config.folder)[WARM_UP:]
    done = prompts * (len(marks.cpu_s) - WARM_UP)
    return Scale(
        servers=runtime.inference_servers,
        prompts=prompts,
        controller_ms=(marks.cpu_s[-1] - marks.cpu_s[WARM_UP - 1]) / done * 1e3,
        driver_bytes=(marks.counted[-1] - marks.counted[WARM_UP - 1]) / done + inlined,
        idle=fmean(row["idle/inference_servers"] for row in rows),
        step_s=fmean(row["time/step_s"] for row in rows),
        sync_s=sync_s,
    )


def main() -> None:
    """Run the scales, and feed the model with what they measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, nargs="+", default=SERVERS)
    parser.add_argument("--steps", type=int, default=5, help=f"steps; {WARM_UP} are warm-up")
    given = parser.parse_args()
    assumed, console = Assumed(), Console(width=110)
    costs, recorded = measure(), record(load_config(None, SETTINGS))
    table = Table("servers", "prompts", "controller ms", "driver bytes", "idle", "step s", "sync s")
    scales = []
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        for servers in given.servers:
            config = run_config(Path(name), servers, given.steps, assumed)
            scale = run(config, given.steps, recorded, assumed)
            scales.append(scale)
            table.add_row(
                *(str(servers), str(scale.prompts), f"{scale.controller_ms:.2f}"),
                *(f"{scale.driver_bytes:,.0f}", f"{scale.idle:.0%}"),
                *(f"{scale.step_s:.1f}", f"{scale.sync_s:.2f}"),
            )
            console.print(f"{servers} servers: {scale}")
    console.print(table)
    last = scales[-1]
    numbers_ms = (costs.receive_s + costs.count_s) * 1e3
    fed = replace(assumed, calls_ms=last.controller_ms - numbers_ms)
    results = {gpus: simulate(gpus, costs, fed, 1) for gpus in MODELLED}
    for gpus, result in results.items():
        console.print(f"modelled at {gpus} GPUs: {result}")
    thousand = results[1000]
    figures = {
        "controller_ms": round(last.controller_ms, 2),
        "driver_bytes": round(last.driver_bytes),
        "busy_1000": thousand["busy"]["servers"],
        "step_1000_s": thousand["step_s"],
        "sync_growth": round(last.sync_s / scales[0].sync_s, 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
