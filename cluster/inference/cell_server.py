"""A warm server that answers for many policies of one base.

    ServedPolicy.generate (any worker) --> waiting requests --> one batch of vLLM's
                                                                adapters: together
                                                                all weights: one policy at a time

An adapter has a number and a name of its own, so that no cached prefix of one is taken for
another's; a policy of full weights replaces the weights, with every cache emptied.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray

from cluster.inference.environment import engine_environment
from cluster.runtime.cold_start import heavy_start
from cluster.runtime.placement import SERVER_CPUS
from cluster.runtime.session import actor_environment
from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.errors import GenerationError
from physrl.protocols import Sampling
from physrl.types import Generation, Prompt

CALLS, RESTARTS = 64, 3
"""Requests that a server takes at once, and how often it may die: its calls are made again."""


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """Where a policy's weights lie, on every machine: at most one of both; neither is the base."""

    key: str
    """Of its content: two policies never share one."""
    adapter: str | None = None
    """A PEFT adapter's folder."""
    model: str | None = None
    """A checkpoint's folder."""

    @property
    def form(self) -> tuple[str | None, bool]:
        """What those that share a batch have in common: the weights under an adapter, if any.

        vLLM 0.32 on CPU gives prompts without an adapter the last slot's, where others have one.
        """
        return self.model, self.adapter is not None


@dataclass(slots=True, eq=False)
class _Request:
    policy: PolicyFiles
    prompts: Sequence[Prompt]
    sampling: Sampling
    done: "Future[list[Generation]]" = field(default_factory=Future)


class CellServer:
    """One engine and the requests that wait for it; what an actor is made of."""

    def __init__(
        self, model: ModelConfig, runtime: RuntimeConfig, seed: int, adapters: int
    ) -> None:
        with heavy_start():  # the driver needs none of it
            from cluster.inference.many_policies import ManyPolicies

            self._engine: Any = ManyPolicies(model, runtime, seed=seed, adapters=adapters)
        self._adapters = adapters
        self._waiting: list[_Request] = []
        self._arrives, self._computes = threading.Lock(), threading.Lock()

    def ready(self) -> None:
        """There once the engine has started."""

    def generate(
        self, policy: PolicyFiles, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[Generation]:
        """As `InferenceServer.generate`, in one batch with what others ask for meanwhile.

        Whoever finds the engine free computes everything that waits, the others' requests too.

        Raises:
            GenerationError: a prompt is too long, or a policy's weights do not fit the base.
        """
        request = _Request(policy, prompts, sampling)
        with self._arrives:
            self._waiting.append(request)
        while not request.done.done():
            with self._computes:
                if not request.done.done():
                    self._compute(self._take())
        return request.done.result()

    def _take(self) -> list[_Request]:
        """The oldest request, and all that can share its batch."""
        with self._arrives:
            first = self._waiting[0]
            batch: list[_Request] = []
            adapters: set[str] = set()
            for request in self._waiting:
                policy = request.policy
                own = set() if policy.adapter is None else {policy.key}
                if policy.form == first.policy.form and len(adapters | own) <= self._adapters:
                    adapters |= own
                    batch.append(request)
            self._waiting = [request for request in self._waiting if request not in batch]
        return batch

    def _compute(self, batch: list[_Request]) -> None:
        try:
            asked = [(r.policy, r.prompts, r.sampling) for r in batch]
            for request, generations in zip(batch, self._engine.answer(asked), strict=True):
                request.done.set_result(generations)
        except Exception as error:
            if len(batch) == 1:
                batch[0].done.set_exception(error)
                return
            for request in batch:  # one of them is to blame
                self._compute([request])


class ServedPolicy:
    """One policy on a server: a `Generator`."""

    def __init__(self, server: ray.actor.ActorHandle, policy: PolicyFiles) -> None:
        self._server, self._policy = server, policy

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """Ask the server, and wait."""
        answered: list[Generation] = ray.get(
            self._server.generate.remote(self._policy, list(prompts), sampling)
        )
        return answered


def start_cell_server(
    model: ModelConfig, runtime: RuntimeConfig, *, seed: int, adapters: int
) -> ray.actor.ActorHandle:
    """An actor that starts in the background; calls made before it is ready wait.

    Args:
        model: the base; its `lora` says how large an adapter may be, and its limits hold for all.
        adapters: how many can be in one batch.
    """
    environment = actor_environment(runtime.threads) | engine_environment(model, runtime)
    return (
        ray.remote(CellServer)
        .options(
            num_cpus=SERVER_CPUS,
            num_gpus=runtime.gpus_per_server,
            max_concurrency=CALLS,
            max_restarts=RESTARTS,
            max_task_retries=RESTARTS,
            runtime_env={"env_vars": environment},
        )
        .remote(model, runtime, seed, adapters)
    )


def policy_files(key: str, checkpoint: Path) -> PolicyFiles:
    """What a checkpoint's folder holds.

    Raises:
        GenerationError: neither `adapter/` nor `model/`.
    """
    if (checkpoint / "adapter").is_dir():
        return PolicyFiles(key, adapter=str(checkpoint / "adapter"))
    if (checkpoint / "model").is_dir():
        return PolicyFiles(key, model=str(checkpoint / "model"))
    raise GenerationError(f"checkpoint {checkpoint} has vanished: it holds no adapter/ or model/")
