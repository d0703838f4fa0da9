"""The reference loop: one process, transformers' generation, plain PyTorch, no Ray.

    scenes -> prompts -> completions -> actions -> outcomes -> rewards -> advantages -> update

The controller of `cluster/` calls the same functions; given the same completions both give the
same rewards, advantages and loss.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from physrl.algorithms.batch import (
    demonstration_batch,
    rollout_advantages,
    rollout_batch,
    rollout_metrics,
)
from physrl.algorithms.dynamic_sampling import refill
from physrl.algorithms.update import Learner
from physrl.config.algorithm import SFTConfig
from physrl.config.run import RunConfig
from physrl.curriculum import make_curriculum
from physrl.data.collate import Collator
from physrl.demonstrations import demonstrate
from physrl.environments.renderer import make_renderer
from physrl.environments.simulator import Simulator
from physrl.models.engine import TorchEngine
from physrl.models.generate import TransformersGenerator
from physrl.models.loading import load_model
from physrl.models.processor import load_processor
from physrl.rollout import (
    follow_ups,
    retry,
    retry_sampling,
    roll_out,
    step_indices,
    training_sampling,
)
from physrl.scene_source import SceneSource, prepare, scene_source
from physrl.types import Metrics, Prompt, RolloutGroup, SceneSpec


class ReferenceLoop:
    """Trains one model on one task in this process."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._source = scene_source(config, config.task, "train")
        self._curriculum = make_curriculum(config, self._source)
        self.curriculum_state = self._curriculum.start()
        processor = load_processor(config.model.path)
        self.model: Any = load_model(config.model)
        self._collator = Collator(processor)
        self.generator = TransformersGenerator(self.model, processor)
        self._learner = Learner(TorchEngine(self.model, config.algorithm), self._collator, config)
        self._simulator, self._renderer = Simulator(), make_renderer(config.environment)

    def step(self, step: int) -> Metrics:
        """One rollout batch, or one batch of demonstrations, and its updates."""
        algorithm = self._config.algorithm
        if isinstance(algorithm, SFTConfig):
            indices = step_indices(self._config, step)
            shown = demonstrate(self._source, indices, self._renderer, self._simulator)
            return self._learner.update(demonstration_batch(shown, self._collator), step)
        source = self._propose(step_indices(self._config, step))
        drawn = self.collect(step)
        self.curriculum_state = self._curriculum.observe(self.curriculum_state, source, drawn)
        sampled = refill(drawn, partial(self._draw, step), self._config, algorithm, step)
        return rollout_metrics(drawn) | self.learn(sampled.groups, step) | sampled.metrics

    def prepare(self, step: int) -> tuple[list[SceneSpec], list[Prompt]]:
        """The training scenes of a step, and their prompts."""
        indices = step_indices(self._config, step)
        return prepare(self._propose(indices), indices, self._renderer)

    def collect(self, step: int) -> list[RolloutGroup]:
        """Sample a group of completions for every prompt and carry them out."""
        return self._draw(step, step_indices(self._config, step))

    def _propose(self, indices: range) -> SceneSource:
        return self._curriculum.propose(self.curriculum_state, indices)

    def _draw(self, step: int, indices: range) -> list[RolloutGroup]:
        reward, sampling = self._config.reward, training_sampling(self._config, step)
        acting = (reward, self._simulator, self._config.auxiliary)
        scenes, prompts = prepare(self._propose(indices), indices, self._renderer)
        generations = self.generator.generate(prompts, sampling)
        groups = roll_out(scenes, prompts, generations, *acting)
        while prompts := follow_ups(groups, self._renderer, self._source):
            generations = self.generator.generate(prompts, retry_sampling(sampling))
            groups = retry(groups, prompts, generations, *acting)
        return groups

    def learn(self, groups: Sequence[RolloutGroup], step: int) -> Metrics:
        """Advantages, loss, update."""
        algorithm = self._config.algorithm
        assert not isinstance(algorithm, SFTConfig)  # it has no rollouts to learn from
        longest = self._config.model.max_completion_tokens
        advantages = rollout_advantages(groups, algorithm, longest)
        updated = self._learner.update(rollout_batch(groups, advantages), step)
        self.generator.policy_version += 1
        return updated
