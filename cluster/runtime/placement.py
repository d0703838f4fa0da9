"""Placement of a run's actors in one Ray placement group, reserved as a whole or not at all.

disaggregated   servers | ranks | workers: a bundle for each actor
colocated       (server + rank) | workers: server i and rank i share bundle i and its GPU

Where nodes announce a group by a custom resource, as the chart's do, servers go to the nodes of
`inference_group`, ranks (with their servers, if colocated) to `learner_group`, and workers to
`rollout_group`. Without, Ray would fill GPU nodes with the actors that need none.
"""

import logging
from collections.abc import Collection
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
"""Cores that Ray reserves for an actor: few, since workers, servers and the learner mostly take
turns; but not 0, or actors could be placed on a cluster's head node, which offers no cores."""
GROUPS = ("inference_group", "learner_group", "rollout_group")
"""Custom resources of the nodes for servers, ranks and workers. A cluster's head may list those
that its autoscaler can add: without cores, it gets no bundle."""
GROUP_SHARE = 0.001
"""Amount of a group's resource that a bundle takes, of 1 for each node."""
logger = logging.getLogger(__name__)


def announced_groups() -> frozenset[str]:
    """Return the groups that the running Ray cluster has, or can start nodes of."""
    resources = ray.cluster_resources()
    return frozenset(group for group in GROUPS if group in resources)


def run_bundles(runtime: RuntimeConfig, groups: Collection[str] = ()) -> list[dict[str, float]]:
    """List the bundles that a run reserves: of servers, then ranks, then workers.

    Args:
        groups: the groups of nodes that the cluster tells apart.
    """

    def bundle(cpus: float, gpus: float, group: str) -> dict[str, float]:
        of_group = {group: GROUP_SHARE} if group in groups else {}
        return {"CPU": cpus} | ({"GPU": gpus} if gpus else {}) | of_group

    inference, learner, rollout = GROUPS
    server = bundle(SERVER_CPUS, runtime.gpus_per_server, inference)
    rank = bundle(RANK_CPUS, runtime.gpus_per_rank, learner)
    workers = [bundle(WORKER_CPUS, 0, rollout)] * runtime.rollout_workers
    if runtime.layout == "colocated":
        shared = bundle(SERVER_CPUS + RANK_CPUS, runtime.gpus_per_rank, learner)
        return [shared] * runtime.learner_ranks + workers
    return [server] * runtime.inference_servers + [rank] * runtime.learner_ranks + workers


def required_gpus(runtime: RuntimeConfig) -> float:
    """Count the GPUs that a run needs."""
    return sum(bundle.get("GPU", 0) for bundle in run_bundles(runtime))


def required_cpus(runtime: RuntimeConfig) -> float:
    """Count the cores that a run reserves."""
    return sum(bundle["CPU"] for bundle in run_bundles(runtime))


@dataclass(frozen=True, slots=True)
class Placement:
    """The reserved bundles of a run."""

    group: PlacementGroup | None
    """The placement group; None if Ray places each actor separately."""
    first: int
    """Index of the run's first bundle; in a trial's group, bundle 0 is that of the trial itself."""
    owned: bool
    """True if `release` removes the group."""
    runtime: RuntimeConfig

    @classmethod
    def reserve(cls, runtime: RuntimeConfig) -> Self:
        """Reserve all bundles at once; inside a Tune trial, use the trial's placement group.

        Raises:
            UserError: the resources were not available within `runtime.start_timeout_s`.
        """
        trial = get_current_placement_group()
        if trial is not None:
            return cls(trial, 1, False, runtime)
        bundles = run_bundles(runtime, announced_groups())
        group = placement_group(bundles, strategy="PACK")
        needed = {kind: sum(b.get(kind, 0) for b in bundles) for kind in ("GPU", "CPU")}
        total = ray.cluster_resources()
        lacking = [kind for kind in needed if needed[kind] > total.get(kind, 0)]
        if lacking:
            logger.warning("the cluster has too few %ss: waiting for it to grow", lacking[0])
        if not group.wait(runtime.start_timeout_s):
            remove_placement_group(group)
            free = ray.available_resources()
            raise UserError(
                f"runtime needs {needed['GPU']:g} GPUs and {needed['CPU']:g} cores; the cluster "
                f"has {total.get('GPU', 0):g} and {total.get('CPU', 0):g}, of which "
                f"{free.get('GPU', 0):g} and {free.get('CPU', 0):g} were free for "
                f"{runtime.start_timeout_s:g} s: lower runtime.inference_servers or "
                "runtime.learner_ranks, or wait for other runs to end"
            )
        return cls(group, 0, True, runtime)

    @classmethod
    def unreserved(cls, runtime: RuntimeConfig) -> Self:
        """Reserve nothing: Ray places each actor separately, where there is room."""
        return cls(None, 0, False, runtime)

    def server(self, number: int) -> PlacementGroupSchedulingStrategy | str:
        """Return the scheduling strategy of a server."""
        return self._bundle(number)

    def rank(self, number: int) -> PlacementGroupSchedulingStrategy | str:
        """Return the scheduling strategy of a learner rank."""
        shared = self.runtime.layout == "colocated"
        return self._bundle(number if shared else self.runtime.inference_servers + number)

    def worker(self, number: int) -> PlacementGroupSchedulingStrategy | str:
        """Return the scheduling strategy of a rollout worker."""
        return self._bundle(len(run_bundles(self.runtime)) - self.runtime.rollout_workers + number)

    @property
    def server_gpus(self) -> float:
        """GPUs of a server; one half if it shares a GPU with a rank, so that Ray places both."""
        return 0.5 if self.runtime.layout == "colocated" else self.runtime.gpus_per_server

    @property
    def rank_gpus(self) -> float:
        """GPUs of a learner rank."""
        return 0.5 if self.runtime.layout == "colocated" else self.runtime.gpus_per_rank

    def release(self) -> None:
        """Remove the placement group if this run created it."""
        if self.owned:
            remove_placement_group(self.group)

    def _bundle(self, number: int) -> PlacementGroupSchedulingStrategy | str:
        if self.group is None:
            return "DEFAULT"
        return PlacementGroupSchedulingStrategy(
            self.group, placement_group_bundle_index=self.first + number
        )
