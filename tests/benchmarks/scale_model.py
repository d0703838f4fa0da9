"""Bottlenecks at 8, 64 and 1,000 GPUs: a model of training as a network of queues.

    python tests/benchmarks/scale_model.py

The costs of the project's own code are measured on this machine, in half a minute of one core;
those of GPUs, networks and buckets are assumed (`Assumed`). Each step's groups pass through queues
in the order of the loop; the learner waits for all of them:

    workers: draw -> servers: generate -> workers: carry out -> controller -> learner -> sync

Prints a table and, last, one JSON line.
"""

import argparse
import heapq
import json
import pickle
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from physrl.algorithms.batch import rollout_advantages, rollout_batch, rollout_metrics
from physrl.config import load_config
from physrl.data.rollouts import write_rollouts
from physrl.groups import Group, local_group
from physrl.rollout import training_request
from physrl.scene_source import scene_source
from physrl.tasks import TASKS
from physrl.types import Completion, Generation, RolloutGroup
from physrl.world import World

GROUP = 16
"""Completions per prompt."""
PROMPTS_PER_GPU = 4
"""Prompts per step and GPU: the batch grows with the cluster."""
SETTINGS = (
    "task=place",
    "environment.image_size=448",
    "model.reasoning=true",
    "model.max_completion_tokens=512",
)
SCENES = 24
"""Scenes that costs are measured on."""
STEPS = 6
SCALES = (8, 64, 1000)
LARGEST = 8192


@dataclass(frozen=True, slots=True)
class Assumed:
    """Assumed costs of a model of 3 B parameters with LoRA on GPUs of 80 GB."""

    completion_tokens: int = 300
    prompt_tokens: int = 400
    decode_per_s: float = 4000.0
    """Tokens per second that one server decodes with all its slots full."""
    slots: int = 4
    """Groups that a server decodes at once: 64 sequences."""
    learn_per_s: float = 15000.0
    """Tokens per second that one rank trains on."""
    server_share: float = 0.625
    """Fraction of the GPUs that serve; the others learn."""
    cores_per_gpu: float = 3.0
    """Cores per GPU, for rollout workers."""
    adapter_mb: float = 160.0
    adapter_load_s: float = 0.4
    """Time in which one server loads an adapter; docs/benchmarks.md has less for a tiny one."""
    node_gbit: float = 25.0
    """Network of a node of eight GPUs, and of the head."""
    storage_gb_per_s: float = 5.0
    """Throughput of the bucket or file system, to all readers together."""
    store_gb: float = 19.0
    """Ray's object store on the head: 30 % of 64 GB."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Measured costs of one prompt and its group at 448 px: seconds of one core, and bytes."""

    draw_s: float
    """Time to draw a scene, its image and its question."""
    carry_out_s: float
    """Time to parse, simulate, score and summarize all completions."""
    receive_s: float
    """Time in which the controller unpacks the group."""
    count_s: float
    """Time for advantages, metrics and the batch."""
    write_s: float
    """Time to write the rows of the rollout file."""
    send_s: float
    """Time in which the controller packs the batch for the learner."""
    unpack_s: float
    """Time in which a rank unpacks the batch, of which every rank gets the whole."""
    batch_mb: float
    """Megabytes of the batch, which every node receives."""

    @property
    def controller_s(self) -> float:
        """Time of the controller, one process in which the groups' times add up."""
        return self.receive_s + self.count_s + self.write_s + self.send_s


class Queue:
    """A queue before equal servers, first come first served."""

    def __init__(self, servers: int) -> None:
        self.servers, self.busy = servers, 0.0
        self._free = [0.0] * servers

    def serve(self, ready: float, seconds: float) -> float:
        """Serve something that is ready at a time and takes so long; return the time of its end."""
        start = max(ready, heapq.heappop(self._free))
        heapq.heappush(self._free, start + seconds)
        self.busy += seconds
        return start + seconds


def measure() -> Measured:
    """Run the project's own code on scenes whose answers are all different."""
    config = load_config(None, SETTINGS)
    request = training_request(config, 0, scene_source(config, "place", "train"), range(SCENES))
    with closing(World()) as world:
        world.prepare(request, SCENES)  # the first image pays for start-up
        draw_s, states = timed(lambda: [world.prepare(request, i) for i in request.indices])
        generations = [_answers(state.record.scene) for state in states]
        carry_out_s, groups = timed(
            lambda: [
                local_group(world.act(request, state, [generation]))
                for state, generation in zip(states, generations, strict=True)
            ]
        )
    packed = [pickle.dumps(group, protocol=5) for group in groups]
    receive_s, groups = timed(lambda: [pickle.loads(one) for one in packed])
    records = [group.read() for group in groups]
    count_s, batch = timed(lambda: _count(groups, records, config))
    with tempfile.TemporaryDirectory() as folder:
        rows = [0.0] * SCENES * GROUP
        write_s, _ = timed(lambda: write_rollouts(Path(folder) / "a.parquet", records, rows, 1))
    send_s, sent = timed(lambda: pickle.dumps(batch, protocol=5))
    unpack_s, _ = timed(lambda: pickle.loads(sent))
    seconds = (draw_s, carry_out_s, receive_s, count_s, write_s, send_s, unpack_s)
    return Measured(*(one / SCENES for one in seconds), batch_mb=len(sent) / SCENES / 1e6)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Measure the CPU seconds of some work; return them and the result."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def _answers(scene: Any) -> Generation:
    """Make a group of answers around the ideal one, so that each is simulated by itself."""
    target = TASKS["place"].target(scene)
    x, y = (int(word) for word in target.removeprefix("<answer>").removesuffix("</answer>").split())
    tokens = Assumed().completion_tokens
    completions = (
        f"<think>{'a block falls ' * 60}</think><answer>{x + shift} {y}</answer>"
        for shift in range(-GROUP // 2, GROUP // 2)
    )
    numbers = tuple(range(tokens))
    logprobs = tuple(-0.5 - number * 1e-4 for number in numbers)
    return Generation(
        tuple(range(Assumed().prompt_tokens)),
        tuple(Completion(text, numbers, logprobs, False, 1) for text in completions),
    )


def _count(groups: Sequence[Group], records: Sequence[RolloutGroup], config: Any) -> Any:
    rollout_metrics(groups)
    advantages = rollout_advantages(groups, config.algorithm, 512)
    return rollout_batch(records, advantages)


def simulate(gpus: int, costs: Measured, assumed: Assumed, staleness: int) -> dict[str, Any]:
    """Simulate a few steps: completions per second, and how busy each kind of part is."""
    servers = max(1, round(gpus * assumed.server_share))
    ranks = max(1, gpus - servers)
    nodes = max(1, gpus // 8)
    prompts = PROMPTS_PER_GPU * gpus
    workers, slots = (
        Queue(max(1, round(gpus * assumed.cores_per_gpu))),
        Queue(servers * assumed.slots),
    )
    controller, learner = Queue(1), Queue(1)
    generate_s = assumed.completion_tokens * GROUP * assumed.slots / assumed.decode_per_s
    tokens = prompts * GROUP * (assumed.prompt_tokens + assumed.completion_tokens)
    learn_s = tokens / (ranks * assumed.learn_per_s)
    batch_gb = prompts * costs.batch_mb / 1e3
    # The batch leaves the head once and goes on from node to node; every rank unpacks all of it.
    hops = max(1, (nodes - 1).bit_length())
    distribute_s = batch_gb * 8 / assumed.node_gbit * hops + prompts * costs.unpack_s
    readers_gb = servers * assumed.adapter_mb / 1e3
    sync_s = assumed.adapter_load_s + readers_gb / assumed.storage_gb_per_s
    published, waits = [0.0] * (staleness + 1), Counter[str]()
    finished = 0.0
    for _ in range(STEPS):
        allowed = published[-1 - staleness]
        done = 0.0
        for _ in range(prompts):
            drawn = workers.serve(0.0, costs.draw_s)
            generated = slots.serve(max(drawn, allowed), generate_s)
            scored = workers.serve(generated, costs.carry_out_s)
            done = max(done, controller.serve(scored, costs.controller_s))
        finished = learner.serve(done, distribute_s + learn_s)
        waits.update(distribute=distribute_s, learn=learn_s, sync=sync_s)
        published.append(finished + sync_s)
    span = published[-1]
    busy = {
        "workers": workers.busy / workers.servers / span,
        "servers": slots.busy / slots.servers / span,
        "controller": controller.busy / span,
        "distribution": waits["distribute"] / span,
        "learner": waits["learn"] / span,
        "sync": waits["sync"] / span,
        "head memory": 2 * batch_gb / assumed.store_gb,
    }
    overhead = {name: share for name, share in busy.items() if name not in ("servers", "learner")}
    return {
        "gpus": gpus,
        "completions_per_s": round(STEPS * prompts * GROUP / span, 1),
        "step_s": round(span / STEPS, 1),
        "busy": {name: round(share, 2) for name, share in busy.items()},
        "first": max(overhead, key=overhead.__getitem__),
    }


def breaking_point(costs: Measured, assumed: Assumed, staleness: int) -> tuple[int, str]:
    """Find the scale at which a GPU does less than 4/5 of its work at 8, and the busiest part."""
    base = simulate(8, costs, assumed, staleness)["completions_per_s"] / 8
    gpus = 8
    while gpus < LARGEST:
        gpus *= 2
        result = simulate(gpus, costs, assumed, staleness)
        if result["completions_per_s"] / gpus < 0.8 * base:
            return gpus, str(result["first"])
    return gpus, "nothing"


def main() -> None:
    """Measure costs, simulate the scales, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--staleness", type=int, default=1, help="0: the synchronous loop")
    for one in fields(Assumed):
        kind = type(one.default)
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=kind, default=one.default)
    given = vars(parser.parse_args())
    staleness = given.pop("staleness")
    assumed, costs, console = Assumed(**given), measure(), Console()
    for name, value in asdict(costs).items():
        console.print(
            f"{name}: {value * 1e3:.2f} ms" if name.endswith("_s") else f"{name}: {value:.2f}"
        )
    results = [simulate(gpus, costs, assumed, staleness) for gpus in SCALES]
    table = Table("GPUs", "completions/s", "step s", *results[0]["busy"], "first")
    for one in results:
        shares = (f"{share:.0%}" for share in one["busy"].values())
        row = (one["gpus"], one["completions_per_s"], one["step_s"])
        table.add_row(*map(str, row), *shares, one["first"])
    console.print(table)
    gpus, what = breaking_point(costs, assumed, staleness)
    elsewhere = replace(costs, write_s=0.0)
    then, what_then = breaking_point(elsewhere, assumed, staleness)
    console.print(f"a fifth of each GPU is lost at {gpus} GPUs, to: {what}")
    console.print(f"with rollouts written elsewhere at {then}, to: {what_then}")
    at = {str(one["gpus"]): one["completions_per_s"] for one in results}
    figures = {"completions_per_s": at, "breaks_at_gpus": gpus, "breaks_first": what}
    print(json.dumps(figures | {"then_at_gpus": then, "then": what_then}))


if __name__ == "__main__":
    main()
