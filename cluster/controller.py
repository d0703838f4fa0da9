"""The synchronous loop: moves records between the actors and owns the policy version.

    RolloutPool.prepare -> scenes, prompts --+
                                             v
    InferenceServers.submit -> completions of policy v
                                             v
    RolloutPool.roll_out -> actions, outcomes, rewards
                                             v
    rollout_advantages -> TrainingBatch -> LearnerGroup.update -> weights
                                             v
    Cluster.publish -> policy v + 1 --> the next step

Chunks of a batch go through these stages as references: while one chunk is simulated the next is
generated. Scenes of the next step are drawn while the learner works.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from cluster.cluster import Cluster
from cluster.evaluation import evaluate_task
from cluster.rollout_pool import Prepared
from cluster.stopping import StopRequest
from physrl.algorithms.batch import rollout_advantages, rollout_batch, rollout_metrics
from physrl.algorithms.budget import spend
from physrl.algorithms.dynamic_sampling import refill
from physrl.algorithms.watch import Watch
from physrl.config.algorithm import SFTConfig
from physrl.config.run import RunConfig
from physrl.data.rollouts import write_rollouts
from physrl.errors import GenerationError
from physrl.metrics import MetricsWriter, read_metrics
from physrl.protocols import Sampling
from physrl.rollout import scene_source, step_indices, training_sampling
from physrl.storage.checkpoints import Checkpoint, Checkpoints
from physrl.types import JSON, Metrics, RolloutGroup, Split

logger = logging.getLogger(__name__)


class Reporter(Protocol):
    """Shows a person what the loop is doing."""

    def phase(self, name: str) -> None:
        """What happens now: `generating`, `updating`, ..."""
        ...

    def step(self, step: int, metrics: Metrics) -> None:
        """A step is done; steps count from 1."""
        ...


class Controller:
    """Trains one policy; what it writes lies in `config.folder`."""

    def __init__(
        self,
        config: RunConfig,
        cluster: Cluster,
        reporter: Reporter,
        stop: StopRequest,
        split: Split = "train",
    ) -> None:
        self._config, self._cluster = config, cluster
        self._reporter, self._stop = reporter, stop
        self._source = scene_source(config, config.task, split)
        self._checkpoints = Checkpoints(config.folder, config.checkpoint.keep_last)
        self._metrics = MetricsWriter(config.folder)
        self._prepared: dict[int, list[Prepared]] = {}
        self._times: Metrics = {}

    def train(self) -> Checkpoint:
        """Run all steps that the newest checkpoint has not, and return the last checkpoint.

        A requested stop ends the loop after the step that is under way, with a checkpoint.
        """
        config = self._config
        newest = self._restore()
        budget: Metrics = {} if newest is None else newest.state["budget"]
        watch = Watch()
        for row in read_metrics(config.folder):
            watch(row)
        for step in range(0 if newest is None else newest.step, config.algorithm.steps):
            began = time.monotonic()
            metrics = self._step(step)
            if config.evaluation.every and (step + 1) % config.evaluation.every == 0:
                metrics |= self._validate()
            self._times["step"] = time.monotonic() - began
            metrics |= {f"time/{phase}_s": seconds for phase, seconds in self._times.items()}
            metrics["policy/version"] = self._cluster.policy_version
            budget = spend(budget, metrics)
            metrics |= budget
            for warning in watch(metrics):
                logger.warning("step %d: %s", step + 1, warning)
            self._metrics.write(step + 1, metrics)
            self._reporter.step(step + 1, metrics)
            last = step + 1 == config.algorithm.steps or self._stop.requested
            if last or (step + 1) % config.checkpoint.every == 0:
                self._reporter.phase("saving")
                newest = self._commit(step + 1, budget)
            if last:
                break
        self._metrics.close()
        if isinstance(config.algorithm, SFTConfig):  # RL publishes after every step
            self._cluster.publish()
        assert newest is not None  # committed at the last step
        return newest

    def _step(self, step: int) -> Metrics:
        self._times = {}
        algorithm = self._config.algorithm
        if isinstance(algorithm, SFTConfig):
            return self._imitate(step)
        drawn = self._collect(step)
        sampled = refill(drawn, partial(self._draw, step), self._config, algorithm, step)
        # What refills left out would flatter the policy: its metrics are those of the first draw.
        metrics = rollout_metrics(drawn) | self._learn(sampled.groups, step) | sampled.metrics
        completions = sampled.drawn * algorithm.group_size
        metrics["throughput/completions_per_s"] = completions / sum(self._times.values())
        return metrics

    def _imitate(self, step: int) -> Metrics:
        with self._phase("updating"):
            indices = step_indices(self._config, step)
            demonstrations = self._cluster.pool.demonstrate(self._source, indices)
            return self._cluster.learners.imitate(demonstrations, step)

    def _collect(self, step: int) -> list[RolloutGroup]:
        """Completions of the current policy about the step's scenes, carried out."""
        prepared = self._prepared.pop(step, None) or self._prepare(step_indices(self._config, step))
        groups = self._roll_out(step, prepared)
        if step + 1 < self._config.algorithm.steps:
            self._prepared[step + 1] = self._prepare(step_indices(self._config, step + 1))
        return groups

    def _draw(self, step: int, indices: range) -> list[RolloutGroup]:
        """Completions about other scenes."""
        return self._roll_out(step, self._prepare(indices))

    def _roll_out(self, step: int, prepared: list[Prepared]) -> list[RolloutGroup]:
        with self._phase("rolling out"):
            groups = self._cluster.pool.roll_out(
                prepared,
                self._cluster.servers,
                training_sampling(self._config, step),
                self._config.reward,
            )
        refuse_stale(groups, self._cluster.policy_version)
        return groups

    def _learn(self, groups: list[RolloutGroup], step: int) -> Metrics:
        """Advantages, update, new weights to the servers."""
        algorithm = self._config.algorithm
        assert not isinstance(algorithm, SFTConfig)
        longest = self._config.model.max_completion_tokens
        advantages = rollout_advantages(groups, algorithm, longest)
        with self._phase("updating"):
            updated = self._cluster.learners.update(rollout_batch(groups, advantages), step)
        with self._phase("syncing"):
            self._cluster.publish()
        with self._phase("writing"):
            path = self._config.folder / "rollouts" / f"step-{step + 1:08d}.parquet"
            write_rollouts(path, groups, advantages.ravel().tolist(), step + 1)
        return updated

    def _validate(self) -> Metrics:
        """Greedy success on validation scenes of the trained task."""
        config = self._config
        with self._phase("validating"):
            if isinstance(config.algorithm, SFTConfig):
                self._cluster.publish()
            greedy = Sampling(1, 0.0, config.model.max_completion_tokens, seed=config.seed)
            result = evaluate_task(
                self._cluster, config, config.task, "validation", "greedy", greedy
            )
        return {f"validation/{config.task}/accuracy": result.count.share}

    def _prepare(self, indices: range) -> list[Prepared]:
        return self._cluster.pool.prepare(self._source, indices)

    def _restore(self) -> Checkpoint | None:
        """Load the newest checkpoint, or start afresh where there is none."""
        with self._phase("loading"):
            self._cluster.learners.load(self._config)
            newest = self._checkpoints.latest()
            if newest is not None:
                self._cluster.learners.load_state(newest.path / "learner")
                self._cluster.continue_from(newest.state["policy_version"])
            self._metrics.truncate_after(0 if newest is None else newest.step)
            if not isinstance(self._config.algorithm, SFTConfig):
                self._cluster.publish()
        return newest

    def _commit(self, step: int, budget: Metrics) -> Checkpoint:
        def write(folder: Path) -> None:
            self._cluster.learners.save_model(folder)
            self._cluster.learners.save_state(folder / "learner")

        # Scenes and sampling seeds are functions of the step: it is the data cursor and RNG state.
        state: JSON = {"policy_version": self._cluster.policy_version, "budget": budget}
        return self._checkpoints.commit(step, state, write)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self._reporter.phase(name)
        began = time.monotonic()
        yield
        key = name.replace(" ", "_")
        self._times[key] = self._times.get(key, 0.0) + time.monotonic() - began


def refuse_stale(groups: Sequence[RolloutGroup], current: int) -> None:
    """Raise GenerationError unless every completion is of the servers' policy version."""
    versions = {attempt.completion.policy_version for g in groups for attempt in g.attempts}
    if versions != {current}:
        raise GenerationError(
            f"completions of policy versions {sorted(versions)}, not of {current} alone"
        )
