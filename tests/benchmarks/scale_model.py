"""Bottlenecks at 8, 64 and 1,000 GPUs: a model of training as a network of queues.

    python tests/benchmarks/scale_model.py

The costs of the project's own code are measured on this machine, in half a minute of one core;
those of GPUs, networks and Ray's calls are assumed (`Assumed`). Each step's groups pass through
queues in the order of the loop; the learner waits for all of them, and for the last step's file:

    workers: draw -> servers: generate -> workers: act -> controller -> learner -> sync -> file

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
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from physrl.algorithms.advantage import Rewards
from physrl.algorithms.batch import rollout_batch, rollout_metrics
from physrl.algorithms.credit import credit
from physrl.config import load_config
from physrl.config.run import RunConfig
from physrl.data.rollouts import encode_rollouts, write_parts
from physrl.groups import Group, GroupState, local_group
from physrl.rollout import training_request
from physrl.scene_source import scene_source
from physrl.tasks import TASKS
from physrl.training_records import TrainingBatch
from physrl.types import Completion, Generation
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
    calls_ms: float = 2.5
    """Time of the controller for the calls about a prompt; `bench_scale.py` measures it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Measured costs of one prompt and its group at 448 px: seconds of one core, and bytes."""

    draw_s: float
    """Time to draw a scene, its image and its question."""
    carry_out_s: float
    """Time to parse, simulate, score and summarize all completions."""
    receive_s: float
    """Time in which the controller unpacks the group's numbers."""
    count_s: float
    """Time of the controller for advantages and metrics."""
    read_s: float
    """Time in which a rank unpacks a group and makes its examples; every rank reads all groups."""
    encode_s: float
    """Time in which a worker encodes the rows of the rollout file."""
    write_s: float
    """Time in which the writer writes them."""
    group_mb: float
    """Megabytes of a complete group, which every node of ranks receives."""
    part_mb: float
    """Megabytes of its rows, which the writer's node receives."""


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
    recorded = record(config)
    groups = [local_group(state) for state in recorded.complete]
    numbers = [pickle.dumps(group.rollouts, protocol=5) for group in groups]
    receive_s, _ = timed(lambda: [pickle.loads(one) for one in numbers])
    count_s, advantages = timed(lambda: _count(groups, config))
    packed = [pickle.dumps(state, protocol=5) for state in recorded.complete]
    read_s, _ = timed(lambda: _read(packed, advantages))
    records = [group.read() for group in groups]
    credits = advantages.ravel().tolist()
    encode_s, part = timed(lambda: pickle.dumps(encode_rollouts(records, credits, 1), protocol=5))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        write_s, _ = timed(lambda: write_parts(path, [pickle.loads(part)]))
    work = (recorded.draw_s, recorded.carry_out_s, receive_s, count_s, read_s, encode_s, write_s)
    sizes = (sum(map(len, packed)), len(part))
    return Measured(*(one / SCENES for one in work), *(one / SCENES / 1e6 for one in sizes))


@dataclass(frozen=True, slots=True)
class Recorded:
    """Groups on scenes whose answers are all different, and the CPU seconds that they took."""

    prepared: tuple[GroupState, ...]
    """States with the first prompts."""
    generations: tuple[Generation, ...]
    complete: tuple[GroupState, ...]
    draw_s: float
    carry_out_s: float


def record(config: RunConfig) -> Recorded:
    """Roll out scenes at the model's sizes, with made-up answers."""
    request = training_request(config, 0, scene_source(config, "place", "train"), range(SCENES))
    with closing(World()) as world:
        world.prepare(request, SCENES)  # the first image pays for start-up
        draw_s, prepared = timed(lambda: [world.prepare(request, i) for i in request.indices])
        generations = [_answers(state.record.scene) for state in prepared]
        carry_out_s, complete = timed(
            lambda: [
                world.act(request, state, [generation])
                for state, generation in zip(prepared, generations, strict=True)
            ]
        )
    return Recorded(tuple(prepared), tuple(generations), tuple(complete), draw_s, carry_out_s)


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


def _count(groups: Sequence[Group], config: RunConfig) -> Rewards:
    rollout_metrics(groups)
    return credit(groups, config, 0)


def _read(packed: Sequence[bytes], advantages: Rewards) -> TrainingBatch:
    return rollout_batch([pickle.loads(one).record for one in packed], advantages)


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
    groups_gb = prompts * costs.group_mb / 1e3
    # Groups are on the workers' nodes, so that all nodes send and receive at once.
    distribute_s = groups_gb * 8 / assumed.node_gbit + prompts * costs.read_s
    # Every node fetches the adapter once: at worst, where all ask at once, from the first rank's.
    readers_gb = (nodes - 1) * assumed.adapter_mb / 1e3
    sync_s = assumed.adapter_load_s + readers_gb * 8 / assumed.node_gbit
    encode_s = prompts * costs.encode_s / workers.servers
    file_s = encode_s + prompts * (costs.write_s + costs.part_mb * 8e-3 / assumed.node_gbit)
    controller_s = costs.receive_s + costs.count_s + assumed.calls_ms / 1e3
    published, waits = [0.0] * (staleness + 1), Counter[str]()
    filed = 0.0
    for _ in range(STEPS):
        allowed = published[-1 - staleness]
        done = filed
        for _ in range(prompts):
            drawn = workers.serve(0.0, costs.draw_s)
            generated = slots.serve(max(drawn, allowed), generate_s)
            scored = workers.serve(generated, costs.carry_out_s)
            done = max(done, controller.serve(scored, controller_s))
        finished = learner.serve(done, distribute_s + learn_s)
        waits.update(distribute=distribute_s, learn=learn_s, sync=sync_s, file=file_s)
        published.append(finished + sync_s)
        filed = published[-1] + file_s
    span = published[-1]
    busy = {
        "workers": workers.busy / workers.servers / span,
        "servers": slots.busy / slots.servers / span,
        "controller": controller.busy / span,
        "distribution": waits["distribute"] / span,
        "learner": waits["learn"] / span,
        "sync": waits["sync"] / span,
        "file": waits["file"] / span,
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
    at = {str(one["gpus"]): one["completions_per_s"] for one in results}
    print(json.dumps({"completions_per_s": at, "breaks_at_gpus": gpus, "breaks_first": what}))


if __name__ == "__main__":
    main()
