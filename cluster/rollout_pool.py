"""PyBullet workers: they draw scenes, and carry out what the model answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import ray

from cluster.session import actor_environment
from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import RewardConfig
from physrl.config.run import RuntimeConfig
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.rollout import roll_out
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene
from physrl.types import Demonstration, Generation, Prompt, RolloutGroup, SceneSpec, Split


@dataclass(frozen=True, slots=True)
class SceneSource:
    """Which stream of scenes is drawn from, and how it is asked about."""

    task: str
    environment: EnvironmentConfig
    seed: int
    split: Split
    reasoning: bool


class RolloutWorker:
    """One simulator and one renderer."""

    def __init__(self) -> None:
        self._simulator, self._renderer = Simulator(), TinyRenderer()

    def prepare(
        self, source: SceneSource, indices: Sequence[int]
    ) -> tuple[list[SceneSpec], list[Prompt]]:
        """Scenes and their prompts, as two objects."""
        task = TASKS[source.task]
        scenes = [
            make_scene(task, source.environment, source.seed, source.split, index)
            for index in indices
        ]
        prompts = [
            make_prompt(
                task,
                scene,
                self._renderer,
                source.environment.image_size,
                reasoning=source.reasoning,
            )
            for scene in scenes
        ]
        return scenes, prompts

    def demonstrate(self, source: SceneSource, indices: Sequence[int]) -> list[Demonstration]:
        """Prompts with their ideal answers."""
        task = TASKS[source.task]
        return [
            Demonstration(prompt, task.target(scene))
            for scene, prompt in zip(*self.prepare(source, indices), strict=True)
        ]

    def roll_out(
        self,
        scenes: Sequence[SceneSpec],
        prompts: Sequence[Prompt],
        generations: Sequence[Generation],
        reward: RewardConfig,
    ) -> list[RolloutGroup]:
        """Carry out every completion."""
        return [
            RolloutGroup(
                scene,
                prompt,
                generation.prompt_token_ids,
                roll_out(scene, generation.completions, reward, self._simulator),
            )
            for scene, prompt, generation in zip(scenes, prompts, generations, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chunk of scenes on its way: references to the scenes and to their prompts."""

    scenes: ray.ObjectRef
    prompts: ray.ObjectRef


class RolloutPool:
    """Hands chunks of scenes to the workers in turn; everything stays in the object store."""

    def __init__(self, runtime: RuntimeConfig) -> None:
        environment = {"env_vars": actor_environment(threads=1)}
        # A worker waits for the model most of the time: half a core each leaves room for it.
        options = {"num_cpus": 0.5, "runtime_env": environment}
        self._workers = [
            ray.remote(RolloutWorker).options(**options).remote()
            for _ in range(runtime.rollout_workers)
        ]

    def prepare(self, source: SceneSource, indices: range) -> list[Prepared]:
        """Scenes of the indices, a chunk a worker."""
        return [
            Prepared(*worker.prepare.options(num_returns=2).remote(source, list(chunk)))
            for worker, chunk in self._chunks(indices)
        ]

    def demonstrate(self, source: SceneSource, indices: range) -> list[ray.ObjectRef]:
        """Demonstrations of the indices: references to a list a worker."""
        return [
            worker.demonstrate.remote(source, list(chunk))
            for worker, chunk in self._chunks(indices)
        ]

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
        refs = []
        for index, (chunk, generated) in enumerate(zip(prepared, generations, strict=True)):
            worker = self._workers[index % len(self._workers)]
            refs.append(worker.roll_out.remote(chunk.scenes, chunk.prompts, generated, reward))
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
