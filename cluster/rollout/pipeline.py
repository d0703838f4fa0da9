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

from cluster.inference.server import InferenceServers
from cluster.rollout.answers import Answered, Indexed, answers_of
from cluster.rollout.worker import RolloutWorker
from cluster.runtime.actor_pool import ATTEMPTS, ActorPool
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import WORKER_CPUS, Placement
from cluster.runtime.session import actor_environment
from physrl.config.reward import RewardConfig
from physrl.config.runtime import RuntimeConfig
from physrl.errors import LostCallError, LostError, SimulationError
from physrl.protocols import Sampling
from physrl.rollout import retry_sampling
from physrl.scene_source import SceneSource
from physrl.tracing import Trace
from physrl.types import RolloutGroup

Item = TypeVar("Item")
Ask = Callable[[Sequence[int], int, ray.ObjectRef], Awaitable[ray.ObjectRef]]
"""From scenes' indices, the number of an attempt, from 0, and its prompts to what is answered."""
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

    def submit(self, order: Order, gate: "Future[None] | None" = None) -> "Future[list[Indexed]]":
        """Start rolling out; the future's groups are in the order of their scenes.

        Scenes that kill their workers are not among them.

        Args:
            gate: completions are not asked for before it is there; scenes are drawn at once.

        The future raises:
            GenerationError: from a server.
            LostError: there are no workers, or no servers, any more.
        """

        async def ask(
            indices: Sequence[int], attempt: int, prompts: ray.ObjectRef
        ) -> ray.ObjectRef:
            if gate is not None and attempt == 0:
                await asyncio.shield(asyncio.wrap_future(gate))
            sampling = retry_sampling(order.sampling) if attempt else order.sampling
            return await self._servers.generate_later(prompts, sampling)

        return self._submit(order, order.indices, ask)

    def repeat(self, order: Order, answered: Answered) -> "Future[list[Indexed]]":
        """Roll out again what was answered before, without asking anybody."""

        async def ask(
            indices: Sequence[int], attempt: int, prompts: ray.ObjectRef
        ) -> ray.ObjectRef:
            return ray.put(answers_of(answered, indices, attempt))

        return self._submit(order, sorted(answered), ask)

    def demonstrate(self, source: SceneSource, indices: range) -> "Future[list[ray.ObjectRef]]":
        """Start demonstrating: references to lists of demonstrations, in the scenes' order."""

        async def carry(chunk: Sequence[int]) -> list[ray.ObjectRef]:
            _, shown = await self.pool.call("demonstrate", source, chunk, returns=2)
            return [shown]

        return self._loop.submit(self._in_chunks(source, indices, carry))

    def stop(self) -> None:
        """End all workers."""
        self.pool.stop()

    def _submit(self, order: Order, indices: Sequence[int], ask: Ask) -> "Future[list[Indexed]]":
        async def carry(chunk: Sequence[int]) -> list[Indexed]:
            groups = await self._roll_out(order, chunk, ask)
            return list(zip(chunk, groups, strict=True))

        return self._loop.submit(self._in_chunks(order.source, indices, carry))

    async def _in_chunks(
        self,
        source: SceneSource,
        indices: Sequence[int],
        carry: Callable[[Sequence[int]], Awaitable[list[Item]]],
    ) -> list[Item]:
        known = self.quarantine.scenes
        wanted = [index for index in indices if source.scene_id(index) not in known]
        chunks = [wanted[at : at + self._chunk] for at in range(0, len(wanted), self._chunk)]
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
            logger.warning("scenes %s are tried one by one: %s", list(indices), error)
        items: list[Item] = []
        for index in indices:
            try:
                items += await _persistently(carry, [index])
            except (LostCallError, SimulationError) as error:
                self.quarantine.add(source, index, error)
        return items

    async def _roll_out(self, order: Order, indices: Sequence[int], ask: Ask) -> list[RolloutGroup]:
        source = order.source
        _, scenes, prompts = await self.pool.call("prepare", source, indices, returns=3)
        generations = await ask(indices, 0, prompts)
        asked, groups, prompts = await self.pool.call(
            "roll_out", source, scenes, prompts, generations, order.reward, returns=3
        )
        attempt = 1
        while asked:
            generations = await ask(indices, attempt, prompts)
            asked, groups, prompts = await self.pool.call(
                "retry", source, groups, prompts, generations, order.reward, returns=3
            )
            attempt += 1
        return list(await asyncio.wrap_future(groups.future()))


async def _persistently(
    carry: Callable[[Sequence[int]], Awaitable[list[Item]]], indices: Sequence[int]
) -> list[Item]:
    """Again from the start where a machine took with it what lay between the stages.

    Raises:
        LostError: a machine that is gone held what is needed each time, such as new weights.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await carry(indices)
        except ObjectLostError as error:
            reason = str(error).strip().splitlines()[0]
            if attempt == ATTEMPTS:
                raise LostError(
                    f"scenes {list(indices)} cannot be rolled out: {reason}; continue with --resume"
                ) from error
            logger.warning("scenes %s are begun again: %s", list(indices), reason)
    raise AssertionError  # the last attempt returns or raises


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
