"""PyBullet workers: they draw scenes, and carry out what the model answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import ray

from cluster.session import actor_environment
from physrl.config.reward import RewardConfig
from physrl.config.run import RuntimeConfig
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.rollout import SceneSource, demonstrate, prepare, roll_out
from physrl.types import Demonstration, Generation, Prompt, RolloutGroup, SceneSpec

CPUS = 0.5
"""Of a core, for placement: a worker waits for the model most of the time."""


class RolloutWorker:
    """One simulator and one renderer; what an actor is made of."""

    def __init__(self) -> None:
        self._simulator, self._renderer = Simulator(), TinyRenderer()

    def prepare(self, source: SceneSource, indices: range) -> tuple[list[SceneSpec], list[Prompt]]:
        """Scenes and their prompts, as two objects."""
        return prepare(source, indices, self._renderer)

    def demonstrate(self, source: SceneSource, indices: range) -> list[Demonstration]:
        """Prompts with their ideal answers."""
        return demonstrate(source, indices, self._renderer)

    def roll_out(
        self,
        scenes: Sequence[SceneSpec],
        prompts: Sequence[Prompt],
        generations: Sequence[Generation],
        reward: RewardConfig,
    ) -> list[RolloutGroup]:
        """Carry out every completion."""
        return roll_out(scenes, prompts, generations, reward, self._simulator)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chunk of scenes on its way: references to the scenes and to their prompts."""

    scenes: ray.ObjectRef
    prompts: ray.ObjectRef


class RolloutPool:
    """Hands a chunk of scenes to each worker; everything stays in the object store."""

    def __init__(self, runtime: RuntimeConfig) -> None:
        environment = {"env_vars": actor_environment(threads=1)}
        worker = ray.remote(RolloutWorker).options(num_cpus=CPUS, runtime_env=environment)
        self._workers = [worker.remote() for _ in range(runtime.rollout_workers)]

    def prepare(self, source: SceneSource, indices: range) -> list[Prepared]:
        """Scenes of the indices, a chunk a worker."""
        return [
            Prepared(*worker.prepare.options(num_returns=2).remote(source, chunk))
            for worker, chunk in self._chunks(indices)
        ]

    def demonstrate(self, source: SceneSource, indices: range) -> list[ray.ObjectRef]:
        """Demonstrations of the indices: references to a list a worker."""
        return [worker.demonstrate.remote(source, chunk) for worker, chunk in self._chunks(indices)]

    def roll_out(
        self,
        prepared: Sequence[Prepared],
        generations: Sequence[ray.ObjectRef],
        reward: RewardConfig,
    ) -> list[RolloutGroup]:
        """Waits for all groups, in the order of their scenes.

        Raises:
            SimulationError: from a worker.
        """
        refs = [
            worker.roll_out.remote(chunk.scenes, chunk.prompts, generated, reward)
            for worker, chunk, generated in zip(self._workers, prepared, generations, strict=False)
        ]
        return [group for groups in ray.get(refs) for group in groups]

    def stop(self) -> None:
        """End all workers."""
        for worker in self._workers:
            ray.kill(worker)

    def _chunks(self, indices: range) -> list[tuple[ray.actor.ActorHandle, range]]:
        count = min(len(self._workers), len(indices))
        bounds = [len(indices) * part // count for part in range(count + 1)]
        return [
            (worker, indices[start:stop])
            for worker, start, stop in zip(self._workers, bounds, bounds[1:], strict=False)
        ]
