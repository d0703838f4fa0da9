"""The pool of rollout workers, and the rollouts that run on it and on the inference servers."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial

import ray
from ray.exceptions import ObjectLostError

from cluster.inference.servers import InferenceServers
from cluster.rollout.admission import Admission
from cluster.rollout.quarantine import Quarantine
from cluster.rollout.stages import RemoteStages, ReplayStages, SharedScenes, record_references
from cluster.rollout.worker import RolloutWorker
from cluster.runtime.actor_pool import ActorPool, start_pool
from cluster.runtime.batching import BatchedCalls, Item
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import WORKER_CPUS, Placement
from cluster.runtime.session import actor_environment
from cluster.weights.sync import Policy
from physrl.algorithms.advantage import Rewards
from physrl.config.runtime import RuntimeConfig
from physrl.evaluation.results import Answer
from physrl.groups import Group
from physrl.protocols import RolloutRequest
from physrl.question_source import Source
from physrl.rollout import collect_groups
from physrl.tracing import Trace
from physrl.types import Generation

PART = 8
"""Groups that a worker encodes in one call."""


def start_rollouts(
    runtime: RuntimeConfig,
    servers: InferenceServers,
    *,
    loop: EventLoop,
    placement: Placement,
    trace: Trace,
    worker: type[RolloutWorker] = RolloutWorker,
) -> "Rollouts":
    """Start the `runtime.rollout_workers` actors.

    Args:
        worker: class of the actors; another one in tests.
    """

    def make(number: int) -> ray.actor.ActorHandle:
        actor = ray.remote(worker).options(
            num_cpus=WORKER_CPUS,
            runtime_env={"env_vars": actor_environment(threads=1)},
            scheduling_strategy=placement.worker(number),
        )
        return actor.remote()

    pool = start_pool(
        "rollout worker",
        make,
        runtime.rollout_workers,
        load_each=1,
        timeout_s=runtime.worker_timeout_s,
        start_timeout_s=runtime.start_timeout_s,
        trace=trace,
    )
    return Rollouts(loop.run(pool), servers, runtime, loop)


class Rollouts:
    """Runs rollouts in the background, on a pool of workers and on inference servers."""

    def __init__(
        self,
        pool: ActorPool,
        servers: InferenceServers,
        runtime: RuntimeConfig,
        loop: EventLoop,
    ) -> None:
        self.quarantine = Quarantine()
        self.pool = pool
        self._loop, self._servers = loop, servers
        self._calls = BatchedCalls(pool, runtime)

    def submit(
        self,
        request: RolloutRequest,
        *,
        policy: Policy | None = None,
        admission: Admission | None = None,
        scenes: SharedScenes | None = None,
    ) -> "Future[list[Group]]":
        """Start the rollouts of a request; the future's groups are in the order of its scenes.

        Scenes in quarantine are omitted.

        Args:
            policy: the policy to sample from; None for the servers' current one.
            admission: decides when completions are sampled; None for at once.
            scenes: states that are shared with other requests of the same source.

        The future raises:
            GenerationError: a server failed, see `InferenceServer.generate`.
            LostError: no workers, or no servers, can be started any more.
        """
        stages = RemoteStages(
            self._calls,
            self._servers,
            self.quarantine,
            ray.put(request),
            policy=policy,
            admission=admission,
            scenes=scenes,
        )
        return self._loop.submit(collect_groups(request, stages))

    def replay(
        self, request: RolloutRequest, generations: Mapping[str, Generation]
    ) -> "Future[list[Group]]":
        """Start the rollouts of a request with completions that were sampled before."""
        stages = ReplayStages(
            self._calls, self._servers, self.quarantine, ray.put(request), generations
        )
        return self._loop.submit(collect_groups(request, stages))

    def demonstrate(self, source: Source, indices: range) -> "Future[list[ray.ObjectRef]]":
        """Start making demonstrations; the future has a reference to a list for each scene."""
        return self._loop.submit(self._demonstrate(source, indices))

    def answers(self, groups: Sequence[Group]) -> "Future[list[Answer]]":
        """Start computing the answers of groups on a worker, which can read their records."""
        return self._loop.submit(self._answers(groups))

    def encode(
        self, groups: Sequence[Group], advantages: Rewards, step: int
    ) -> list[ray.ObjectRef]:
        """Encode a step's rollouts on workers; return references to its parts, in order.

        Args:
            advantages: groups x group_size.

        Raises:
            ObjectLostError: a group was lost with a machine.
        """
        return self._loop.run(self._encode(groups, advantages, step))

    def find_lost(self, groups: Sequence[Group]) -> list[int]:
        """Return the indices of the groups that were lost with a machine."""
        return self._loop.run(self._find_lost(groups))

    def stop(self) -> None:
        """Kill all workers."""
        self.pool.stop()

    async def _demonstrate(self, source: Source, indices: range) -> list[ray.ObjectRef]:
        async def call(index: int) -> ray.ObjectRef:
            result = await self._calls.call(None, "demonstrate", (reference,), Item(index))
            return result.reference

        reference = ray.put(source)
        demonstrations = await asyncio.gather(
            *(self.quarantine.guard(source, index, partial(call, index)) for index in indices)
        )
        return [each for each in demonstrations if each is not None]

    async def _encode(
        self, groups: Sequence[Group], advantages: Rewards, step: int
    ) -> list[ray.ObjectRef]:
        references = record_references(groups)
        made = await asyncio.gather(
            *(
                self.pool.call(
                    "encode",
                    step,
                    advantages[first : first + PART],
                    *references[first : first + PART],
                    returns=2,
                )
                for first in range(0, len(groups), PART)
            )
        )
        return [part for _, part in made]

    async def _find_lost(self, groups: Sequence[Group]) -> list[int]:
        found = await asyncio.gather(
            *(self.pool.call("find", reference) for reference in record_references(groups)),
            return_exceptions=True,
        )
        lost = []
        for group, result in zip(groups, found, strict=True):
            if isinstance(result, ObjectLostError):
                lost.append(group.index)
            elif isinstance(result, BaseException):
                raise result
        return lost

    async def _answers(self, groups: Sequence[Group]) -> list[Answer]:
        answers: list[Answer]
        (answers,) = await self.pool.call("answers", *record_references(groups))
        return answers
