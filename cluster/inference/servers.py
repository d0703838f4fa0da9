"""The pool of inference servers.

A prompt goes to the least loaded server, alone or in a batch (`runtime.batching`), together with
its policy; a server with older weights first fetches these from the object store.
"""

import asyncio
import logging
from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import ray

from cluster.inference.server import InferenceServer, Prompts, engine_environment
from cluster.runtime.actor_pool import ActorPool, start_pool
from cluster.runtime.assignment import ANY, Demand
from cluster.runtime.batching import BatchedCalls, Item
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import SERVER_CPUS, Placement
from cluster.runtime.session import actor_environment
from cluster.weights.sync import BASE, Policy
from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.errors import AbortedError
from physrl.protocols import Sampling
from physrl.tracing import Trace
from physrl.types import Generation, Prompt

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemotePrompt:
    """A prompt in the object store."""

    reference: ray.ObjectRef
    """Reference of the `GroupState` or `Prompts` that contain it."""
    place: int
    """Index of the prompt in that object."""
    prompt_id: str
    batch: Hashable
    """Key of the prompts that may share a call with it."""


@dataclass(frozen=True, slots=True)
class RemoteGeneration:
    """A `Generation` in the object store."""

    reference: ray.ObjectRef
    batch: Hashable


OVERSUBSCRIPTION = 2
"""Sequences that `continuous` batching sends to a server, as a multiple of those it decodes at
once: the next ones wait in the engine, and take the place of completed ones at once."""


def start_servers(
    model: ModelConfig,
    runtime: RuntimeConfig,
    *,
    seed: int,
    loop: EventLoop,
    placement: Placement,
    trace: Trace,
    adapters: int = 1,
    server: type[InferenceServer] = InferenceServer,
) -> "InferenceServers":
    """Start the `runtime.inference_servers` actors, which serve policies of one base.

    The engines start in the background; calls wait until they are ready, and fail if a server
    cannot start.

    Args:
        adapters: largest number of adapters in a batch.
        server: class of the actors; another one in tests.
    """
    environment = actor_environment(runtime.threads) | engine_environment(model, runtime)

    def make(number: int) -> ray.actor.ActorHandle:
        actor = ray.remote(server).options(
            num_cpus=SERVER_CPUS,
            num_gpus=placement.server_gpus,
            max_concurrency=load_each(runtime) + 2,  # and `ready` and `load`
            runtime_env={"env_vars": environment},
            scheduling_strategy=placement.server(number),
        )
        return actor.remote(model, runtime, seed, adapters)

    pool = start_pool(
        "inference server",
        make,
        runtime.inference_servers,
        load_each=load_each(runtime),
        timeout_s=runtime.generation_timeout_s,
        start_timeout_s=runtime.start_timeout_s,
        trace=trace,
    )
    return InferenceServers(loop.run(pool), runtime, loop)


def load_each(runtime: RuntimeConfig) -> int:
    """Return the largest load of a server: sequences, or a single call of `fixed` batching."""
    return 1 if runtime.batching == "fixed" else OVERSUBSCRIPTION * runtime.max_num_seqs


class InferenceServers:
    """A pool of inference servers, which serve policies of one base."""

    def __init__(self, pool: ActorPool, runtime: RuntimeConfig, loop: EventLoop) -> None:
        self.policy = BASE
        """Policy of requests that name none."""
        self.pool = pool
        self._loop = loop
        self._fixed = runtime.batching == "fixed"
        self._calls = BatchedCalls(pool, runtime)

    def wait(self) -> None:
        """Wait until every server has started.

        Raises:
            LostError: one could not start.
        """
        self._loop.run(self.pool.started())

    async def generate(
        self, prompt: RemotePrompt, sampling: Sampling, policy: Policy | None = None
    ) -> RemoteGeneration:
        """Sample the completions of one prompt; repeat if newer weights abort them.

        Raises:
            GenerationError: see `InferenceServer.generate`.
            LostCallError, LostError: see `BatchedCalls.call`.
        """
        item = Item(prompt.place, (prompt.reference,))
        # Only some adapters share a batch, so those that are named stay together.
        demand = ANY if self._fixed else Demand(sampling.group_size, policy and policy.name)
        while True:
            arguments = (policy or self.policy, sampling)
            try:
                result = await self._calls.call(prompt.batch, "generate", arguments, item, demand)
            except AbortedError:
                continue
            return RemoteGeneration(result.reference, result.batch)

    def answer(
        self, prompts: Sequence[Prompt], sampling: Sampling, policy: Policy | None = None
    ) -> "Future[list[Generation]]":
        """Start sampling the completions of prompts without a group."""
        return self._loop.submit(self._answer(prompts, sampling, policy))

    def serve(self, policy: Policy, *, wait: bool) -> None:
        """Sample from another policy from now on, and load it on the servers.

        Args:
            wait: True to wait until they have; otherwise a server loads the policy with its next
                call at the latest.

        Raises:
            GenerationError: the weights do not match the base (only if `wait`).
        """
        self.policy = policy
        loaded = self._loop.submit(self.pool.broadcast("load", policy))
        if wait:
            loaded.result()
        else:
            loaded.add_done_callback(_log_failure)

    def sleep(self) -> None:
        """Free the servers' GPUs for learners that share them."""
        self.wait()  # a server that is starting would take its GPU later
        self._loop.run(self.pool.broadcast("sleep"))

    def wake(self) -> None:
        """Allocate the memory of the GPUs again."""
        self._loop.run(self.pool.broadcast("wake"))

    def stop(self) -> None:
        """Kill the actors."""
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
                *(asyncio.wrap_future(each.reference.future()) for each in generations)
            )
        )


def _log_failure(loaded: "Future[None]") -> None:
    if not loaded.cancelled() and (error := loaded.exception()) is not None:
        logger.warning("a server could not load new weights, and will retry: %s", error)
