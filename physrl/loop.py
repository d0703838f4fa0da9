"""The reference loop: one process, generation by transformers, plain PyTorch, no Ray.

    scenes -> prompts -> completions -> actions -> outcomes -> rewards -> advantages -> update

The controller of `cluster/` calls the same functions; given equal completions, both compute equal
rewards, advantages and losses.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from physrl.algorithms.batch import rollout_batch, rollout_metrics
from physrl.algorithms.credit import credit
from physrl.algorithms.dynamic_sampling import refill
from physrl.algorithms.update import Learner
from physrl.config.run import RunConfig
from physrl.curriculum import make_curriculum
from physrl.data.collate import Collator
from physrl.groups import Group
from physrl.local_stages import LocalStages
from physrl.models.engine import TorchEngine
from physrl.models.generate import TransformersGenerator
from physrl.models.loading import load_model
from physrl.models.processor import configured_processor
from physrl.question_source import Source, run_source
from physrl.rollout import run_rollouts, step_indices, training_request
from physrl.types import Metrics
from physrl.world import World


class ReferenceLoop:
    """The training of one model in this process."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._source = run_source(config, config.task, "train")
        self._curriculum = make_curriculum(config, self._source)
        self.curriculum_state = self._curriculum.start()
        processor = configured_processor(config.model)
        self.model: Any = load_model(config.model)
        self.generator = TransformersGenerator(self.model, processor)
        engine = TorchEngine(self.model, config.algorithm)
        self._learner = Learner(engine, Collator(processor), config)
        self._world = World()
        self._stages = LocalStages(self._world, self.generator)

    def step(self, step: int) -> Metrics:
        """Train on one batch of rollouts or of demonstrations."""
        algorithm, indices = self._config.algorithm, step_indices(self._config, step)
        if not algorithm.uses_rollouts:
            return self._learner.update(self._world.demonstrate(self._source, indices), step)
        source = self._propose(indices)
        shift = self._curriculum.measure(self.curriculum_state, indices)
        drawn = self.collect(step)
        self.curriculum_state = self._curriculum.observe(self.curriculum_state, source, drawn)
        sampled = refill(drawn, partial(self._draw, step), self._config, algorithm, step)
        learned = self.learn(sampled.groups, step)
        return rollout_metrics(drawn) | learned | sampled.metrics | shift

    def collect(self, step: int) -> list[Group]:
        """Roll out a group for every scene of a step."""
        return self._draw(step, step_indices(self._config, step))

    def learn(self, groups: Sequence[Group], step: int) -> Metrics:
        """Compute advantages, and update the policy."""
        advantages = credit(groups, self._config, step)
        records = [group.read() for group in groups]
        updated = self._learner.update(rollout_batch(records, advantages), step)
        self.generator.policy_version += 1
        return updated

    def _draw(self, step: int, indices: range) -> list[Group]:
        request = training_request(self._config, step, self._propose(indices), indices)
        return run_rollouts(request, self._stages)

    def _propose(self, indices: range) -> Source:
        return self._curriculum.propose(self.curriculum_state, indices)
