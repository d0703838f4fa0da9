"""The reference loop: one process, transformers' generation, plain PyTorch, no Ray.

    scenes -> prompts -> completions -> actions -> outcomes -> rewards -> advantages -> update

The controller of `cluster/` calls the same functions; given the same completions both give the
same rewards, advantages and loss.
"""

from collections.abc import Sequence
from typing import Any

from physrl.algorithms.advantage import group_advantages
from physrl.algorithms.batch import (
    demonstration_batch,
    group_rewards,
    rollout_batch,
    rollout_metrics,
)
from physrl.algorithms.update import Learner
from physrl.config.algorithm import SFTConfig
from physrl.config.run import RunConfig
from physrl.data.collate import Collator
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.models.engine import TorchEngine
from physrl.models.generate import TransformersGenerator
from physrl.models.loading import load_model, load_processor
from physrl.protocols import Sampling
from physrl.rollout import roll_out
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene
from physrl.types import Demonstration, Metrics, Prompt, RolloutGroup, SceneSpec


class ReferenceLoop:
    """Trains one model on one task in this process."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        processor = load_processor(config.model.path)
        self.model: Any = load_model(config.model)
        self._collator = Collator(processor)
        self.generator = TransformersGenerator(self.model, processor)
        self.learner = Learner(TorchEngine(self.model, config.algorithm), self._collator, config)
        self._task = TASKS[config.task]
        self._simulator, self._renderer = Simulator(), TinyRenderer()

    def step(self, step: int) -> Metrics:
        """One rollout batch, or one batch of demonstrations, and its updates."""
        scenes = self.scenes(step)
        prompts = self.prompts(scenes)
        if isinstance(self._config.algorithm, SFTConfig):
            demonstrations = [
                Demonstration(prompt, self._task.target(scene))
                for scene, prompt in zip(scenes, prompts, strict=True)
            ]
            return self.learner.update(demonstration_batch(demonstrations, self._collator), step)
        return self.learn(self.collect(scenes, prompts, step), step)

    def scenes(self, step: int) -> list[SceneSpec]:
        """The training scenes of a step."""
        count = self._config.algorithm.prompts_per_step
        return [
            make_scene(self._task, self._config.environment, self._config.seed, "train", index)
            for index in range(step * count, (step + 1) * count)
        ]

    def prompts(self, scenes: Sequence[SceneSpec]) -> list[Prompt]:
        """The scenes' pictures and questions."""
        size, reasoning = self._config.environment.image_size, self._config.model.reasoning
        return [
            make_prompt(self._task, scene, self._renderer, size, reasoning=reasoning)
            for scene in scenes
        ]

    def collect(
        self, scenes: Sequence[SceneSpec], prompts: Sequence[Prompt], step: int
    ) -> list[RolloutGroup]:
        """Sample a group of completions for every prompt and carry them out."""
        algorithm = self._config.algorithm
        assert not isinstance(algorithm, SFTConfig)
        sampling = Sampling(
            group_size=algorithm.group_size,
            temperature=self._config.temperature,
            max_tokens=self._config.model.max_completion_tokens,
            seed=self._config.seed + step,
        )
        generations = self.generator.generate(prompts, sampling)
        return [
            RolloutGroup(
                scene,
                prompt,
                generation.prompt_token_ids,
                roll_out(scene, generation.completions, self._config.reward, self._simulator),
            )
            for scene, prompt, generation in zip(scenes, prompts, generations, strict=True)
        ]

    def learn(self, groups: Sequence[RolloutGroup], step: int) -> Metrics:
        """Advantages, loss, update."""
        algorithm = self._config.algorithm
        assert not isinstance(algorithm, SFTConfig)
        advantages = group_advantages(group_rewards(groups), algorithm.scale_rewards)
        updated = self.learner.update(rollout_batch(groups, advantages), step)
        self.generator.policy_version += 1
        return rollout_metrics(groups) | updated
