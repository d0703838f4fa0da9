"""PyBullet workers: they draw scenes, and carry out what the model answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import ray

from cluster.inference import InferenceServers
from cluster.session import WORKER_CPUS, actor_environment
from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import RewardConfig
from physrl.config.run import RuntimeConfig
from physrl.environments.renderer import Renderer, make_renderer
from physrl.environments.simulator import Simulator
from physrl.protocols import Sampling
from physrl.rollout import (
    SceneSource,
    demonstrate,
    follow_ups,
    prepare,
    retry,
    retry_sampling,
    roll_out,
)
from physrl.types import Demonstration, Generation, Prompt, RolloutGroup, SceneSpec


class RolloutWorker:
    """One simulator and one renderer; what an actor is made of."""

    def __init__(self) -> None:
        self._simulator = Simulator()
        self._renderers: dict[str, Renderer] = {}

    def prepare(self, source: SceneSource, indices: range) -> tuple[list[SceneSpec], list[Prompt]]:
        """Scenes and their prompts, as two objects."""
        return prepare(source, indices, self._renderer(source.environment))

    def demonstrate(self, source: SceneSource, indices: range) -> list[Demonstration]:
        """Prompts with their ideal answers."""
        return demonstrate(source, indices, self._renderer(source.environment))

    def roll_out(
        self,
        source: SceneSource,
        scenes: Sequence[SceneSpec],
        prompts: Sequence[Prompt],
        generations: Sequence[Generation],
        reward: RewardConfig,
    ) -> tuple[list[RolloutGroup], list[Prompt]]:
        """Carry out every completion; the groups, and what the model is asked next."""
        groups = roll_out(scenes, prompts, generations, reward, self._simulator)
        return groups, self._follow_ups(source, groups)

    def retry(
        self,
        source: SceneSource,
        groups: Sequence[RolloutGroup],
        prompts: Sequence[Prompt],
        generations: Sequence[Generation],
        reward: RewardConfig,
    ) -> tuple[list[RolloutGroup], list[Prompt]]:
        """Carry out the next attempts; the groups, and what the model is asked next."""
        retried = retry(groups, prompts, generations, reward, self._simulator)
        return retried, self._follow_ups(source, retried)

    def _follow_ups(self, source: SceneSource, groups: Sequence[RolloutGroup]) -> list[Prompt]:
        return follow_ups(groups, self._renderer(source.environment), source)

    def _renderer(self, settings: EnvironmentConfig) -> Renderer:
        if settings.renderer not in self._renderers:
            self._renderers[settings.renderer] = make_renderer(settings)
        return self._renderers[settings.renderer]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chunk of scenes on its way: references to the scenes and to their prompts."""

    source: SceneSource
    scenes: ray.ObjectRef
    prompts: ray.ObjectRef


class RolloutPool:
    """Hands a chunk of scenes to each worker; everything stays in the object store."""

    def __init__(self, runtime: RuntimeConfig) -> None:
        environment = {"env_vars": actor_environment(threads=1)}
        worker = ray.remote(RolloutWorker).options(num_cpus=WORKER_CPUS, runtime_env=environment)
        self._workers = [worker.remote() for _ in range(runtime.rollout_workers)]

    def prepare(self, source: SceneSource, indices: range) -> list[Prepared]:
        """Scenes of the indices, a chunk a worker."""
        return [
            Prepared(source, *worker.prepare.options(num_returns=2).remote(source, chunk))
            for worker, chunk in self._chunks(indices)
        ]

    def demonstrate(self, source: SceneSource, indices: range) -> list[ray.ObjectRef]:
        """Demonstrations of the indices: references to a list a worker."""
        return [worker.demonstrate.remote(source, chunk) for worker, chunk in self._chunks(indices)]

    def roll_out(
        self,
        prepared: Sequence[Prepared],
        servers: InferenceServers,
        sampling: Sampling,
        reward: RewardConfig,
    ) -> list[RolloutGroup]:
        """Generates and carries out, with every attempt that the task allows.

        A chunk goes through its stages as references: while one chunk is simulated the next is
        generated. Waits for all groups, in the order of their scenes.

        Raises:
            GenerationError: from a server.
            SimulationError: from a worker.
        """
        generated = [servers.submit(chunk.prompts, sampling) for chunk in prepared]
        stages = [
            worker.roll_out.options(num_returns=2).remote(
                chunk.source, chunk.scenes, chunk.prompts, generations, reward
            )
            for worker, chunk, generations in zip(self._workers, prepared, generated, strict=False)
        ]
        for _ in range(prepared[0].source.attempts - 1):
            generated = [servers.submit(prompts, retry_sampling(sampling)) for _, prompts in stages]
            stages = [
                worker.retry.options(num_returns=2).remote(
                    chunk.source, groups, prompts, generations, reward
                )
                for worker, chunk, (groups, prompts), generations in zip(
                    self._workers, prepared, stages, generated, strict=False
                )
            ]
        return [group for groups in ray.get([groups for groups, _ in stages]) for group in groups]

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
