"""The inference server: a vLLM engine in a Ray actor."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.inference.choices import add_choices, find_rivals
from cluster.inference.dequantize import served_model
from cluster.runtime.batching import Layout, unpack
from cluster.runtime.cold_start import cold_start
from cluster.weights.sync import FetchedWeights, Policy
from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.protocols import Sampling
from physrl.types import Prompt

if TYPE_CHECKING:
    from cluster.inference.engine import VLLMEngine


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts without a group, such as those about photographs; a `GroupState` has its own."""

    prompts: tuple[Prompt, ...]


class InferenceServer:
    """An inference server in a Ray actor; each call runs in a thread of its own.

    Args:
        adapters: largest number of adapters in a batch.
    """

    def __init__(
        self, model: ModelConfig, runtime: RuntimeConfig, seed: int, adapters: int
    ) -> None:
        with cold_start():  # not in the driver, which does not need vLLM
            from cluster.inference.engine_loop import EngineLoop

            self._engine = self.start_engine(model, runtime, seed, adapters)
        self._loop = EngineLoop(
            self._engine,
            on_failure=_exit,
            max_adapters=adapters,
            aborts=runtime.in_flight == "abort",
        )
        self._longest = model.max_completion_tokens
        self._fetched: dict[str, FetchedWeights] = {}
        self._fetching = threading.Lock()

    def start_engine(
        self, model: ModelConfig, runtime: RuntimeConfig, seed: int, adapters: int
    ) -> "VLLMEngine":
        """Start the engine; benchmarks start one that only waits."""
        from cluster.inference.engine import VLLMEngine

        return VLLMEngine(served_model(model), runtime, seed=seed, max_adapters=adapters)

    def ready(self) -> None:
        """Return once the engine has started."""

    def generate(
        self, policy: Policy, sampling: Sampling, layout: Layout, *objects: Any
    ) -> tuple[Any, ...]:
        """Sample a group of completions for each prompt, from a policy or a newer version of it.

        The value of an item (`BatchedCalls`) is the index of the prompt in the item's object.

        Raises:
            GenerationError: a prompt is too long, or the weights do not match the base.
            AbortedError: newer weights aborted the completions.
        """
        prompts = [holder.prompts[place] for place, (holder,) in unpack(layout, objects)]
        weights = self._fetch(policy)
        generations = self._loop.generate(prompts, sampling, weights)
        if sampling.choices:
            rivals = find_rivals(
                prompts, generations, sampling.choices, self._engine.tokenizer, self._longest
            )
            asked = [(each.prompt, text) for each in rivals.values() for text in each.texts]
            scores = self._loop.score(
                [prompt for prompt, _ in asked], [text for _, text in asked], weights
            )
            generations = add_choices(generations, rivals, scores)
        return [len(each.completions) for each in generations], *generations

    def load(self, policy: Policy) -> None:
        """Load the weights of a policy, unless newer ones are loaded.

        Raises:
            GenerationError: the weights do not match the base.
        """
        self._loop.load(self._fetch(policy))

    def sleep(self) -> None:
        """Free the GPU's memory for the learner that shares it."""
        self._loop.run_exclusive(self._engine.sleep)

    def wake(self) -> None:
        """Allocate the GPU's memory again."""
        self._loop.run_exclusive(self._engine.wake)

    def _fetch(self, policy: Policy) -> FetchedWeights:
        """Return the weights of a policy or of a newer version of it; fetch each version once."""
        with self._fetching:
            known = self._fetched.get(policy.name)
            # After a failed sync, the same version may come again from another source.
            if known is None or (known.policy != policy and known.policy.version <= policy.version):
                known = self._fetched[policy.name] = FetchedWeights(policy)
            return known


def engine_environment(model: ModelConfig, runtime: RuntimeConfig) -> dict[str, str]:
    """Make the environment variables that vLLM, and preferably torch, must be imported with."""
    environment = {
        # Weights are passed in memory, and a separate process would cost a minute and 2 GB.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
        # On CPU it logs a warning for every image.
        "VLLM_LOGGING_LEVEL": "ERROR",
        # OMP_NUM_THREADS counts; binding would put all engines of a machine on the same cores.
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }
    if not runtime.gpus_per_server:
        # vLLM's sampler compiles a small function at its first batch, which takes 20 s.
        environment["TORCH_COMPILE_DISABLE"] = "1"
    if Path(model.path).is_dir():
        environment["HF_HUB_OFFLINE"] = "1"
    return environment


def _exit() -> None:
    """Exit the actor's process, so that the pool replaces it."""
    os._exit(1)
