"""Which actor of a run goes where: one placement group, taken whole or not at all.

disaggregated   servers | ranks | workers, a bundle each
colocated       (server + rank) | workers: server i and rank i share bundle i and its GPU
"""

import logging
import math
from dataclasses import dataclass
from typing import Self

import ray
from ray.util.placement_group import (
    PlacementGroup,
    get_current_placement_group,
    placement_group,
    remove_placement_group,
)
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from physrl.config.runtime import RuntimeConfig
from physrl.errors import UserError

WORKER_CPUS, SERVER_CPUS, RANK_CPUS = 0.5, 0.25, 0.5
"""Of a core, for placement only: workers, servers and the learner mostly take turns. Not 0, or
they could land on a cluster's head, which offers no cores to keep work away."""
logger = logging.getLogger(__name__)


def bundles(runtime: RuntimeConfig) -> list[dict[str, float]]:
    """What a run reserves: servers first, then ranks, then workers."""
    server = _bundle(SERVER_CPUS, 0 if spreads(runtime) else runtime.gpus_per_server)
    rank = _bundle(RANK_CPUS, runtime.gpus_per_rank)
    workers = [_bundle(WORKER_CPUS, 0)] * runtime.rollout_workers
    if runtime.layout == "colocated":
        shared = _bundle(SERVER_CPUS + RANK_CPUS, runtime.gpus_per_rank)
        return [shared] * runtime.learner_ranks + workers
    return [server] * runtime.inference_servers + [rank] * runtime.learner_ranks + workers


def spreads(runtime: RuntimeConfig) -> bool:
    """Whether vLLM spreads each server over machines, with GPUs that it reserves itself."""
    return runtime.vllm.get("distributed_executor_backend") == "ray"


def gpus(runtime: RuntimeConfig) -> float:
    """How many GPUs a run takes."""
    reserved = sum(bundle.get("GPU", 0) for bundle in bundles(runtime))
    if not spreads(runtime):
        return reserved
    parts = ("tensor_parallel_size", "pipeline_parallel_size")
    sizes = [int(runtime.vllm.get(part, 1)) for part in parts]
    return reserved + runtime.inference_servers * math.prod(sizes)


def cpus(runtime: RuntimeConfig) -> float:
    """How many cores a run reserves."""
    return sum(bundle["CPU"] for bundle in bundles(runtime))


@dataclass(frozen=True, slots=True)
class Placement:
    """The reserved bundles of a run."""

    group: PlacementGroup | None
    """None where Ray places each actor by its own needs."""
    first: int
    """Of its bundles; a trial's own process has the one before."""
    owned: bool
    runtime: RuntimeConfig

    @classmethod
    def reserve(cls, runtime: RuntimeConfig) -> Self:
        """Take everything at once; inside a trial, what the trial has reserved.

        Raises:
            UserError: the cluster has too little, and has not grown within `start_timeout_s`.
        """
        trial = get_current_placement_group()
        if trial is not None:
            return cls(trial, 1, False, runtime)
        wanted = bundles(runtime)
        group = placement_group(wanted, strategy="PACK")
        needed = {kind: sum(b.get(kind, 0) for b in wanted) for kind in ("GPU", "CPU")}
        there = ray.cluster_resources()
        short = [kind for kind in needed if needed[kind] > there.get(kind, 0)]
        if short:
            logger.warning("the cluster has too few %ss: waiting for it to grow", short[0])
        if not group.wait(runtime.start_timeout_s):
            remove_placement_group(group)
            free = ray.available_resources()
            raise UserError(
                f"runtime needs {needed['GPU']:g} GPUs and {needed['CPU']:g} cores; the cluster "
                f"has {there.get('GPU', 0):g} and {there.get('CPU', 0):g}, of which "
                f"{free.get('GPU', 0):g} and {free.get('CPU', 0):g} were free for "
                f"{runtime.start_timeout_s:g} s: lower runtime.inference_servers or "
                "runtime.learner_ranks, or wait for other runs to end"
            )
        return cls(group, 0, True, runtime)

    @classmethod
    def anywhere(cls, runtime: RuntimeConfig) -> Self:
        """Reserve nothing: servers and workers start where there is room, one by one."""
        return cls(None, 0, False, runtime)

    def server(self, number: int) -> PlacementGroupSchedulingStrategy | str:
        """Where an inference server goes; vLLM would take a whole group that it finds itself in."""
        return "DEFAULT" if spreads(self.runtime) else self._bundle(number)

    def rank(self, number: int) -> PlacementGroupSchedulingStrategy | str:
        """Where a learner rank goes."""
        shared = self.runtime.layout == "colocated"
        return self._bundle(number if shared else self.runtime.inference_servers + number)

    def worker(self, number: int) -> PlacementGroupSchedulingStrategy | str:
        """Where a rollout worker goes."""
        return self._bundle(len(bundles(self.runtime)) - self.runtime.rollout_workers + number)

    @property
    def server_gpus(self) -> float:
        """Of one server; half of one that it shares, which Ray then gives to both."""
        if spreads(self.runtime):
            return 0
        return 0.5 if self.runtime.layout == "colocated" else self.runtime.gpus_per_server

    @property
    def rank_gpus(self) -> float:
        """Of one rank."""
        return 0.5 if self.runtime.layout == "colocated" else self.runtime.gpus_per_rank

    def release(self) -> None:
        """Give everything back."""
        if self.owned:
            remove_placement_group(self.group)

    def _bundle(self, number: int) -> PlacementGroupSchedulingStrategy | str:
        if self.group is None:
            return "DEFAULT"
        return PlacementGroupSchedulingStrategy(
            self.group, placement_group_bundle_index=self.first + number
        )


def _bundle(cpus: float, gpus: float) -> dict[str, float]:
    return {"CPU": cpus} | ({"GPU": gpus} if gpus else {})
