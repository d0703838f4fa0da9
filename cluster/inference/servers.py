"""The inference servers behind one queue.

A batch of prompts goes to the least busy server together with the policy that it is for; a server
that holds older weights fetches these first, from the object store.
"""

import asyncio
import logging
from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import ray

from cluster.inference.environment import engine_environment
from cluster.inference.server import InferenceServer, Prompts
from cluster.runtime.actor_pool import start_pool
from cluster.runtime.batching import BatchedCalls, Item
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import SERVER_CPUS, Placement
from cluster.runtime.session import actor_environment
from cluster.weights.policy import BASE, Policy
from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.errors import AbortedError
from physrl.protocols import Sampling
from physrl.tracing import Trace
from physrl.types import Generation, Prompt

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemotePrompt:
    """A prompt inside of an object in the object store."""

    reference: ray.ObjectRef
    """A `GroupState` or `Prompts`."""
    place: int
    prompt_id: str
    batch: Hashable
    """Prompts of one batch may share a call."""


@dataclass(frozen=True, slots=True)
class RemoteGeneration:
    """A `Generation` in the object store."""

    reference: ray.ObjectRef
    batch: Hashable


class InferenceServers:
    """`runtime.inference_servers` actors that serve policies of one base.

    The engines start in the background. Calls made before they are ready wait for them, and a
    server that cannot start fails the first call.

    Args:
        adapters: policies with an adapter that may share a batch.
        server: class of the actors; another one in tests.
    """

    def __init__(
        self,
        model: ModelConfig,
        runtime: RuntimeConfig,
        *,
        seed: int,
        loop: EventLoop,
        placement: Placement,
        trace: Trace,
        adapters: int = 1,
        server: type[InferenceServer] = InferenceServer,
    ) -> None:
        environment = actor_environment(runtime.threads) | engine_environment(model, runtime)

        def make(number: int) -> ray.actor.ActorHandle:
            actor = ray.remote(server).options(
                num_cpus=SERVER_CPUS,
                num_gpus=placement.server_gpus,
                max_concurrency=runtime.calls_per_server + 2,  # beside them, `ready` and `load`
                runtime_env={"env_vars": environment},
                scheduling_strategy=placement.server(number),
            )
            return actor.remote(model, runtime, seed, adapters)

        self.policy = BASE
        """The policy that is sampled from where a request names none."""
        self._loop = loop
        self.pool = loop.run(
            start_pool(
                "inference server",
                make,
                runtime.inference_servers,
                calls_each=runtime.calls_per_server,
                timeout_s=runtime.generation_timeout_s,
                start_timeout_s=runtime.start_timeout_s,
                trace=trace,
            )
        )
        self._calls = BatchedCalls(self.pool, runtime.prompts_per_call)

    def wait(self) -> None:
        """Wait until every server has started.

        Raises:
            LostError: one cannot.
        """
        self._loop.run(self.pool.started())

    async def generate(
        self, prompt: RemotePrompt, sampling: Sampling, policy: Policy | None = None
    ) -> RemoteGeneration:
        """Sample the completions of one prompt.

        Raises:
            GenerationError: as `InferenceServer.generate`.
            LostCallError, LostError: as `BatchedCalls.call`.
        """
        item = Item(prompt.place, (prompt.reference,))
        while True:
            arguments = (policy or self.policy, sampling)
            try:
                result = await self._calls.call(prompt.batch, "generate", arguments, item)
            except AbortedError:
                continue
            return RemoteGeneration(result.reference, result.batch)

    def answer(
        self, prompts: Sequence[Prompt], sampling: Sampling, policy: Policy | None = None
    ) -> "Future[list[Generation]]":
        """Start sampling the completions of prompts that belong to no group."""
        return self._loop.submit(self._answer(prompts, sampling, policy))

    def serve(self, policy: Policy, *, wait: bool) -> None:
        """Sample from another policy from now on, and have the servers load it.

        Args:
            wait: until they have; else a server loads it with its next call at the latest.

        Raises:
            GenerationError: the weights do not fit the base (where this waits).
        """
        self.policy = policy
        loaded = self._loop.submit(self.pool.broadcast("load", policy))
        if wait:
            loaded.result()
        else:
            loaded.add_done_callback(_log_failure)

    def sleep(self) -> None:
        """Free the servers' GPUs for learners that share them, also those that are to start."""
        self.wait()
        self._loop.run(self.pool.broadcast("sleep"))

    def wake(self) -> None:
        """Take the GPUs again."""
        self._loop.run(self.pool.broadcast("wake"))

    def stop(self) -> None:
        """End the actors, whatever they are doing, and free their memory."""
        self.pool.stop()

    async def _answer(
        self, prompts: Sequence[Prompt], sampling: Sampling, policy: Policy | None
    ) -> list[Generation]:
        reference = ray.put(Prompts(tuple(prompts)))
        remote = [
            RemotePrompt(reference, place, prompt.prompt_id, batch=reference)
            for place, prompt in enumerate(prompts)
        ]
        generations = await asyncio.gather(
            *(self.generate(prompt, sampling, policy) for prompt in remote)
        )
        return list(
            await asyncio.gather(
                *(asyncio.wrap_future(one.reference.future()) for one in generations)
            )
        )


def _log_failure(loaded: "Future[None]") -> None:
    if not loaded.cancelled() and (error := loaded.exception()) is not None:
        logger.warning("a server did not take new weights, and will be asked again: %s", error)
