"""Inference servers: vLLM engines in Ray actors, fed by the controller.

A batch of prompts goes to the least busy server; new weights go to every server, before any prompt
that is submitted later.
"""

from collections.abc import Sequence
from pathlib import Path

import ray

from cluster.session import SERVER_CPUS, actor_environment
from cluster.vllm_environment import engine_environment
from physrl.config.model import ModelConfig
from physrl.config.run import RuntimeConfig
from physrl.errors import GenerationError
from physrl.protocols import Sampling, Weights
from physrl.types import Generation, Prompt


class InferenceServer:
    """One engine; what an actor is made of. Ray runs its calls one by one, in a caller's order."""

    def __init__(self, model: ModelConfig, runtime: RuntimeConfig, seed: int) -> None:
        from cluster.vllm_engine import VLLMEngine  # heavy, and the driver needs none of it

        self._engine = VLLMEngine(model, runtime, seed=seed)

    def policy_version(self) -> int:
        return self._engine.policy_version

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        return self._engine.generate(prompts, sampling)

    def load_adapter(self, folder: Path, version: int) -> int:
        """The version that is served afterwards."""
        self._engine.load_adapter(folder, version)
        return self._engine.policy_version

    def load_weights(self, weights: Weights, version: int) -> int:
        """The version that is served afterwards."""
        self._engine.load_weights(weights, version)
        return self._engine.policy_version


class InferenceServers:
    """`runtime.inference_servers` actors that serve one policy: a `Generator`.

    The engines start in the background. Calls made before they are ready wait for them, and a
    server that cannot start fails the first call.
    """

    def __init__(self, model: ModelConfig, runtime: RuntimeConfig, *, seed: int) -> None:
        environment = actor_environment(runtime.threads) | engine_environment(model, runtime)
        actor = ray.remote(InferenceServer).options(
            num_cpus=SERVER_CPUS,
            num_gpus=runtime.gpus_per_server,
            runtime_env={"env_vars": environment},
        )
        self._servers = [
            actor.remote(model, runtime, seed) for _ in range(runtime.inference_servers)
        ]
        self._unfinished: list[set[ray.ObjectRef]] = [set() for _ in self._servers]

    def ready(self) -> list[ray.ObjectRef]:
        """One reference a server, to its policy version: there once the server has started."""
        return [server.policy_version.remote() for server in self._servers]

    def submit(
        self, prompts: "Sequence[Prompt] | ray.ObjectRef[Sequence[Prompt]]", sampling: Sampling
    ) -> "ray.ObjectRef[list[Generation]]":
        """Start generating on the server with the fewest unfinished calls.

        `ray.get` of the reference returns what `VLLMEngine.generate` returns, or raises its errors.
        """
        loads = [self._load(index) for index in range(len(self._servers))]
        least = loads.index(min(loads))
        reference = self._servers[least].generate.remote(prompts, sampling)
        self._unfinished[least].add(reference)
        return reference

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """Submit and wait."""
        generations: list[Generation] = ray.get(self.submit(prompts, sampling))
        return generations

    def load_adapter(self, folder: Path, version: int) -> None:
        """Load a PEFT adapter folder, which all servers can read, on every server.

        Raises:
            GenerationError: a server does not serve that version afterwards.
        """
        self._check(version, [s.load_adapter.remote(folder, version) for s in self._servers])

    def load_weights(self, weights: "Weights | ray.ObjectRef[Weights]", version: int) -> None:
        """Replace all weights of every server; they cross the object store once.

        Raises:
            GenerationError: a server does not serve that version afterwards.
        """
        reference = weights if isinstance(weights, ray.ObjectRef) else ray.put(weights)
        self._check(version, [s.load_weights.remote(reference, version) for s in self._servers])

    def stop(self) -> None:
        """End the actors, whatever they are doing, and free their memory."""
        for server in self._servers:
            ray.kill(server)

    def _load(self, index: int) -> int:
        """A server's unfinished calls."""
        unfinished = self._unfinished[index]
        if unfinished:
            done, _ = ray.wait(
                list(unfinished), num_returns=len(unfinished), timeout=0, fetch_local=False
            )
            unfinished.difference_update(done)
        return len(unfinished)

    def _check(self, version: int, loads: Sequence[ray.ObjectRef]) -> None:
        versions = ray.get(list(loads))
        if set(versions) != {version}:
            raise GenerationError(f"servers report policy versions {versions}, not {version}")
