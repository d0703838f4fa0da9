"""An inference server: a vLLM engine in a Ray actor."""

import os
import threading
from dataclasses import dataclass
from typing import Any

from cluster.runtime.batching import Layout, unpack
from cluster.runtime.cold_start import cold_start
from cluster.weights.policy import Policy
from cluster.weights.sync import FetchedWeights
from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.protocols import Sampling
from physrl.types import Prompt


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts of no group, such as those about photographs; a `GroupState` holds its own."""

    prompts: tuple[Prompt, ...]


class InferenceServer:
    """The class of the actors; its methods run in threads of their own.

    Args:
        adapters: policies with an adapter that may share a batch.
    """

    def __init__(
        self, model: ModelConfig, runtime: RuntimeConfig, seed: int, adapters: int
    ) -> None:
        with cold_start():  # the driver needs none of it
            from cluster.inference.engine import VLLMEngine
            from cluster.inference.engine_loop import EngineLoop

            self._engine = VLLMEngine(model, runtime, seed=seed, max_adapters=adapters)
        self._loop = EngineLoop(
            self._engine,
            broken=_die,
            max_adapters=adapters,
            aborts=runtime.in_flight == "abort",
        )
        self._fetched: dict[str, FetchedWeights] = {}
        self._fetching = threading.Lock()

    def ready(self) -> None:
        """Return once the engine has started."""

    def generate(
        self, policy: Policy, sampling: Sampling, layout: Layout, *objects: Any
    ) -> tuple[Any, ...]:
        """Sample a group of completions a prompt, from a policy or a newer version of it.

        An item is the place of a prompt in its object (`BatchedCalls`).

        Raises:
            GenerationError: a prompt is too long, or the weights do not fit the base.
        """
        prompts = [holder.prompts[place] for place, (holder,) in unpack(layout, objects)]
        generations = self._loop.generate(prompts, sampling, self._fetch(policy))
        return [len(each.completions) for each in generations], *generations

    def load(self, policy: Policy) -> None:
        """Take a policy's weights, unless newer ones are there.

        Raises:
            GenerationError: they do not fit the base.
        """
        self._loop.load(self._fetch(policy))

    def sleep(self) -> None:
        """Free the GPU's memory for the learner that shares it."""
        self._loop.exclusively(self._engine.sleep)

    def wake(self) -> None:
        """Take the GPU's memory again."""
        self._loop.exclusively(self._engine.wake)

    def _fetch(self, policy: Policy) -> FetchedWeights:
        """Fetch a policy's weights once; a newer version's where there is one."""
        with self._fetching:
            known = self._fetched.get(policy.name)
            # The version of a sync that failed may come again, from another source.
            if known is None or (known.policy != policy and known.policy.version <= policy.version):
                known = self._fetched[policy.name] = FetchedWeights(policy)
            return known


def _die() -> None:
    """Have another server take this one's place."""
    os._exit(1)
