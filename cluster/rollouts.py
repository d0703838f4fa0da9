"""Chunks of scenes on their way through workers and servers, and what is done if one kills them.

    worker.prepare -> scenes, prompts ------------------+   (ahead of time)
                                                        v
    the gate: has the policy come far enough?           |
                                                        v
    server.generate -> completions of one policy        |
                                                        v
    worker.roll_out -> groups [-> prompts of the next attempt -> server.generate -> worker.retry]

What lies between the stages stays in the object store. A chunk that is lost, with whatever held it,
is made again from its indices.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

import ray
from ray.exceptions import ObjectLostError

from cluster.actor_pool import ActorPool
from cluster.answered import Answered
from cluster.event_loop import EventLoop
from cluster.inference import InferenceServers
from cluster.placement import WORKER_CPUS, Placement
from cluster.rollout_worker import RolloutWorker
from cluster.session import actor_environment
from physrl.config.reward import RewardConfig
from physrl.config.run import RuntimeConfig
from physrl.errors import LostCallError, SimulationError
from physrl.protocols import Sampling
from physrl.rollout import SceneSource, retry_sampling
from physrl.tracing import Trace
from physrl.types import RolloutGroup

Item = TypeVar("Item")
Ask = Callable[[int, ray.ObjectRef], Awaitable[ray.ObjectRef]]
"""From the number of an attempt, from 0, and its prompts to what is answered."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """Scenes that are to be rolled out."""

    source: SceneSource
    indices: range
    sampling: Sampling
    reward: RewardConfig


@dataclass(slots=True)
class Quarantine:
    """Scenes that were left out because they kill, hang or fail every worker, and why."""

    scenes: dict[str, str] = field(default_factory=dict)

    def add(self, source: SceneSource, index: int, error: Exception) -> None:
        """Leave a scene out and say so."""
        name = source.scene_id(index)
        self.scenes[name] = str(error)
        logger.warning("scene %s is left out: %s", name, error)


class Rollouts:
    """Rollout workers, and the way of scenes through them and the servers.

    Args:
        worker: what the actors are made of; another class in tests.
    """

    def __init__(
        self,
        runtime: RuntimeConfig,
        servers: InferenceServers,
        *,
        loop: EventLoop,
        placement: Placement,
        trace: Trace,
        worker: type[RolloutWorker] = RolloutWorker,
    ) -> None:

        def make(number: int) -> ray.actor.ActorHandle:
            actor = ray.remote(worker).options(
                num_cpus=WORKER_CPUS,
                runtime_env={"env_vars": actor_environment(threads=1)},
                scheduling_strategy=placement.worker(number),
            )
            return actor.remote()

        self._loop, self._servers = loop, servers
        self._chunk = runtime.prompts_per_call
        self.quarantine = Quarantine()
        self.pool = loop.run(_make_pool(make, runtime, trace))

    def submit(
        self, order: Order, gate: "Future[None] | None" = None
    ) -> "Future[list[RolloutGroup]]":
        """Start rolling out; the future's groups are in the order of their scenes.

        Args:
            gate: completions are not asked for before it is there; scenes are drawn at once.

        The future raises:
            GenerationError: from a server.
            LostError: there are no workers, or no servers, any more.
        """

        async def ask(attempt: int, prompts: ray.ObjectRef) -> ray.ObjectRef:
            if gate is not None and attempt == 0:
                await asyncio.wrap_future(gate)
            sampling = retry_sampling(order.sampling) if attempt else order.sampling
            return await self._servers.generate_later(prompts, sampling)

        async def carry(indices: Sequence[int]) -> list[RolloutGroup]:
            return await self._roll_out(order, indices, ask)

        return self._loop.submit(self._in_chunks(order.source, order.indices, carry))

    def repeat(self, order: Order, answered: Answered) -> "Future[list[RolloutGroup]]":
        """Roll out again what was answered before, without asking anybody."""

        async def ask(attempt: int, prompts: ray.ObjectRef) -> ray.ObjectRef:
            return ray.put(answered.attempts[attempt])

        async def carry(indices: Sequence[int]) -> list[RolloutGroup]:
            return await self._roll_out(order, indices, ask)

        return self._loop.submit(self._carefully(order.source, answered.indices, carry))

    def collect(self, order: Order) -> list[RolloutGroup]:
        """Roll out, and wait."""
        return self.submit(order).result()

    def demonstrate(self, source: SceneSource, indices: range) -> "Future[list[ray.ObjectRef]]":
        """Start demonstrating: references to lists of demonstrations, in the scenes' order."""

        async def carry(chunk: Sequence[int]) -> list[ray.ObjectRef]:
            _, shown = await self.pool.call("demonstrate", source, chunk, returns=2)
            return [shown]

        return self._loop.submit(self._in_chunks(source, indices, carry))

    def stop(self) -> None:
        """End all workers."""
        self.pool.stop()

    async def _in_chunks(
        self,
        source: SceneSource,
        indices: range,
        carry: Callable[[Sequence[int]], Awaitable[list[Item]]],
    ) -> list[Item]:
        chunks = [indices[at : at + self._chunk] for at in range(0, len(indices), self._chunk)]
        parts = await asyncio.gather(*(self._carefully(source, c, carry) for c in chunks))
        return [item for part in parts for item in part]

    async def _carefully(
        self,
        source: SceneSource,
        indices: Sequence[int],
        carry: Callable[[Sequence[int]], Awaitable[list[Item]]],
    ) -> list[Item]:
        """Carry a chunk; where that is not to be, its scenes one by one, without those to blame."""
        try:
            return await _persistently(carry, indices)
        except (LostCallError, SimulationError) as error:
            if len(indices) == 1:
                self.quarantine.add(source, indices[0], error)
                return []
        alone = [[index] for index in indices]
        parts = [await self._carefully(source, index, carry) for index in alone]
        return [item for part in parts for item in part]

    async def _roll_out(self, order: Order, indices: Sequence[int], ask: Ask) -> list[RolloutGroup]:
        source = order.source
        _, scenes, prompts = await self.pool.call("prepare", source, indices, returns=3)
        generations = await ask(0, prompts)
        asked, groups, prompts = await self.pool.call(
            "roll_out", source, scenes, prompts, generations, order.reward, returns=3
        )
        attempt = 1
        while asked:
            generations = await ask(attempt, prompts)
            asked, groups, prompts = await self.pool.call(
                "retry", source, groups, prompts, generations, order.reward, returns=3
            )
            attempt += 1
        return list(await asyncio.wrap_future(groups.future()))


async def _persistently(
    carry: Callable[[Sequence[int]], Awaitable[list[Item]]], indices: Sequence[int]
) -> list[Item]:
    """Again from the start where a machine took with it what lay between the stages."""
    while True:
        try:
            return await carry(indices)
        except ObjectLostError as error:
            logger.warning("scenes %s are begun again: %s", list(indices), error)


async def _make_pool(
    make: Callable[[int], ray.actor.ActorHandle], runtime: RuntimeConfig, trace: Trace
) -> ActorPool:
    return ActorPool(
        "rollout worker",
        make,
        runtime.rollout_workers,
        calls_each=1,
        timeout_s=runtime.worker_timeout_s,
        start_timeout_s=runtime.start_timeout_s,
        trace=trace,
    )
