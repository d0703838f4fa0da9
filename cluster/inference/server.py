"""Inference servers: vLLM engines in Ray actors behind one queue.

A batch of prompts goes to the least busy server together with the policy that it is for; a server
that holds older weights fetches these first, from the object store.
"""

import asyncio
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import ray

from cluster.inference.environment import engine_environment
from cluster.runtime.actor_pool import ActorPool
from cluster.runtime.cold_start import heavy_start
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


class InferenceServer:
    """One engine; what an actor is made of. Its methods run in threads of their own."""

    def __init__(self, model: ModelConfig, runtime: RuntimeConfig, seed: int) -> None:
        with heavy_start():  # the driver needs none of it
            from cluster.inference.engine import VLLMEngine
            from cluster.inference.engine_loop import EngineLoop

            self._engine = VLLMEngine(model, runtime, seed=seed)
        self._loop = EngineLoop(self._engine, broken=_die)
        self._aborts = runtime.in_flight == "abort"
        self._version = BASE.version
        self._one_follows = threading.Lock()

    def ready(self) -> None:
        """There once the engine has started."""

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, policy: Policy
    ) -> tuple[int, list[Generation]]:
        """How many groups there are, and a group a prompt, of that policy or a newer one."""
        self.follow(policy)
        generations = self._loop.generate(prompts, sampling)
        return len(generations), generations

    def follow(self, policy: Policy) -> None:
        """Take a policy's weights, unless they are old.

        Raises:
            GenerationError: they are not those of the model.
        """
        if policy.version <= self._version:
            return
        with self._one_follows:
            if policy.version > self._version:
                weights = ray.get(policy.weights)
                load = self._load_adapter if policy.form == "adapter" else self._load_weights
                self._loop.between(lambda: load(weights, policy.version), aborts=self._aborts)
                self._version = policy.version

    def sleep(self) -> None:
        """Free the GPU's memory for the learner that shares it."""
        self._loop.between(self._engine.sleep, aborts=False)

    def wake(self) -> None:
        """Take it again."""
        self._loop.between(self._engine.wake, aborts=False)

    def _load_weights(self, weights: Mapping[str, Any], version: int) -> None:
        self._engine.load_weights(weights, version)

    def _load_adapter(self, files: Mapping[str, bytes], version: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            self._engine.load_adapter(Path(folder), version)


class InferenceServers:
    """`runtime.inference_servers` actors that serve one policy: a `Generator`.

    The engines start in the background. Calls made before they are ready wait for them, and a
    server that cannot start fails the first call.

    Args:
        server: what the actors are made of; another class in tests.
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
        server: type[InferenceServer] = InferenceServer,
    ) -> None:
        environment = actor_environment(runtime.threads) | engine_environment(model, runtime)

        def make(number: int) -> ray.actor.ActorHandle:
            actor = ray.remote(server).options(
                num_cpus=SERVER_CPUS,
                num_gpus=placement.server_gpus,
                max_concurrency=runtime.calls_per_server + 2,  # beside them, `ready` and `follow`
                runtime_env={"env_vars": environment},
                scheduling_strategy=placement.server(number),
            )
            return actor.remote(model, runtime, seed)

        self.policy = BASE
        """What is asked for from now on."""
        self._loop = loop
        self.pool = loop.run(_make_pool(make, runtime, trace))

    def wait(self) -> None:
        """Wait until every server has started.

        Raises:
            LostError: one cannot.
        """
        self._loop.run(self.pool.started())

    async def generate_later(self, prompts: ray.ObjectRef, sampling: Sampling) -> ray.ObjectRef:
        """Generate with the current policy; the reference's `list[Generation]` is there.

        Raises:
            GenerationError: as `EngineLoop.generate`.
            LostError: there are no servers any more.
        """
        while True:
            try:
                _, generations = await self.pool.call(
                    "generate", prompts, sampling, self.policy, returns=2
                )
            except AbortedError:
                continue
            return generations

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """Generate with the current policy, and wait."""

        async def fetched() -> list[Generation]:
            reference = await self.generate_later(ray.put(list(prompts)), sampling)
            return list(await asyncio.wrap_future(reference.future()))

        return self._loop.run(fetched())

    def serve(self, policy: Policy) -> None:
        """Ask for another policy from now on, and have the servers take it.

        Raises:
            GenerationError: the weights are not those of the model.
        """
        self.policy = policy
        self._loop.run(self.pool.everywhere("follow", policy))

    def serve_soon(self, policy: Policy) -> None:
        """The same in the background: a server takes it with its next call at the latest."""
        self.policy = policy
        self._loop.submit(self.pool.everywhere("follow", policy)).add_done_callback(_log_failure)

    def sleep(self) -> None:
        """Free the servers' GPUs for learners that share them, also those that are to start."""
        self.wait()
        self._loop.run(self.pool.everywhere("sleep"))

    def wake(self) -> None:
        """Take them again."""
        self._loop.run(self.pool.everywhere("wake"))

    def stop(self) -> None:
        """End the actors, whatever they are doing, and free their memory."""
        self.pool.stop()


def _die() -> None:
    """Have another server take this one's place."""
    os._exit(1)


def _log_failure(served: "Future[None]") -> None:
    if not served.cancelled() and (error := served.exception()) is not None:
        logger.warning("a server did not take new weights, and will be asked again: %s", error)


async def _make_pool(
    make: Callable[[int], ray.actor.ActorHandle], runtime: RuntimeConfig, trace: Trace
) -> ActorPool:
    return ActorPool(
        "inference server",
        make,
        runtime.inference_servers,
        calls_each=runtime.calls_per_server,
        timeout_s=runtime.generation_timeout_s,
        start_timeout_s=runtime.start_timeout_s,
        trace=trace,
    )
