"""The training loop of one phase: steps, validation, checkpoints, metrics.

    steps.step  (`RLSteps`)   rollouts (of a policy up to k steps old)
         |                              v
         |                    advantages -> TrainingBatch -> LearnerGroup.update -> new weights
         |                              v
         |                    WeightSync.publish -> policy v + 1 --> the next rollouts
         |      (`SFTSteps`)  demonstrations -> LearnerGroup.update
         v
    metrics, validation, and every few steps a checkpoint

In sync mode, k is 0: only scenes of the next step are sampled during an update. In async mode,
completions of the next k steps are sampled too. `ActorPool` and `LearnerGroup` recover from lost
actors by themselves.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cluster.evaluation.evaluate import evaluate_task
from cluster.runtime.stopping import Stopped, StopRequest
from cluster.training.actors import RunActors
from cluster.training.record import STOPPED_UPLOAD_SECONDS, UPLOAD_SECONDS, RunRecord
from cluster.training.reporter import Reporter
from cluster.training.rl_steps import RLSteps
from cluster.training.sft_steps import SFTSteps
from cluster.training.steps import TrainingSteps
from cluster.training.timing import StepMeter
from physrl.algorithms.budget import spend
from physrl.algorithms.health import HealthCheck
from physrl.config.run import RunConfig
from physrl.errors import CheckpointError
from physrl.metrics import read_metrics
from physrl.question_source import run_source
from physrl.storage.checkpoints import Checkpoint
from physrl.tracing import write_chrome_trace
from physrl.types import JSON, Metrics, Split

logger = logging.getLogger(__name__)


class Controller:
    """The training of one policy by one algorithm; its files are in `config.folder`."""

    def __init__(
        self,
        config: RunConfig,
        actors: RunActors,
        reporter: Reporter,
        stop: StopRequest,
        split: Split = "train",
    ) -> None:
        self._config, self._actors = config, actors
        self._reporter, self._stop = reporter, stop
        self._run = RunRecord(config)
        self._meter = StepMeter(actors, reporter)
        self._steps = self._make_steps(split)
        self._score: float | None = None

    def train(self) -> Checkpoint:
        """Run all steps after the newest checkpoint, and return the last checkpoint.

        A stop request ends the loop with a checkpoint: after an update that is running, but without
        waiting for completions.

        Raises:
            Stopped: a stop was requested before the first step; there is no checkpoint.
        """
        config = self._config
        with self._closing():
            newest = self._restore()
            health = HealthCheck()
            for row in read_metrics(config.folder):
                health(row)
            step = 0 if newest is None else newest.step
            budget: Metrics = {} if newest is None else newest.state["budget"]
            while step < config.algorithm.steps and not self._stop.requested:
                try:
                    metrics = self._measured_step(step)
                except Stopped:
                    break
                step += 1
                budget = spend(budget, metrics)
                self._record(step, metrics | budget, health)
                if step % config.checkpoint.every == 0 and step < config.algorithm.steps:
                    newest = self._commit_if_possible(step, budget) or newest
            if newest is None and step == 0 < config.algorithm.steps:
                raise Stopped
            if newest is None or newest.step < step:
                newest = self._commit(step, budget)
            self._steps.publish()
        return newest

    def _make_steps(self, split: Split) -> TrainingSteps:
        """Make the steps of the configured algorithm."""
        config, algorithm = self._config, self._config.algorithm
        source = run_source(config, config.task, split)
        if algorithm.uses_rollouts:
            return RLSteps(config, algorithm, self._actors, self._meter, self._stop, source)
        return SFTSteps(config, self._actors, self._meter, self._stop, source)

    @contextmanager
    def _closing(self) -> Iterator[None]:
        """Close files and upload them when the block exits, even if it raises."""
        with ExitStack() as stack:
            stack.callback(self._run.close)  # runs last, since a tracker may be slow
            stack.callback(self._upload)
            stack.callback(self._steps.close)
            yield

    def _record(self, step: int, metrics: Metrics, health: HealthCheck) -> None:
        """Write and show the metrics of a step, and log the warnings of the health check."""
        accuracy = metrics.get(f"validation/{self._config.task}/accuracy")
        self._score = accuracy if self._config.evaluation.every else metrics.get("reward")
        metrics = self._run.write(step, metrics)
        for warning in health(metrics):
            logger.warning("step %d: %s", step, warning)
        self._reporter.step(step, metrics)

    def _upload(self) -> None:
        with self._meter.phase("uploading"):
            self._run.upload(STOPPED_UPLOAD_SECONDS if self._stop.requested else UPLOAD_SECONDS)

    def _measured_step(self, step: int) -> Metrics:
        """Run one step, and add the times of its phases and the validation."""
        config = self._config
        profile = config.folder / "profile" if config.runtime.profile_step == step + 1 else None
        began = time.monotonic()
        metrics = self._steps.step(step, profile)
        if config.evaluation.every and (step + 1) % config.evaluation.every == 0:
            metrics |= self._validate()
        measured, spans = self._meter.read(time.monotonic() - began)
        if profile is not None:
            write_chrome_trace(profile / f"step-{step + 1:08d}.json", spans)
        return metrics | measured | {"policy/version": float(self._actors.weights.version)}

    def _validate(self) -> Metrics:
        """Measure the greedy success rate on validation scenes of the trained task."""
        config = self._config
        with self._meter.phase("validating"):
            self._steps.publish()
            try:
                result = evaluate_task(
                    self._actors.rollouts, config, config.task, "validation", "greedy", self._stop
                )
            except Stopped:  # the step is complete without a validation
                return {}
        return {f"validation/{config.task}/accuracy": result.count.rate}

    def _restore(self) -> Checkpoint | None:
        """Load the newest checkpoint, or the model before training if there is none."""
        with self._meter.phase("loading"):
            newest = self._run.restore()
            with self._actors.learning():
                self._actors.learner.load(self._config, newest)
            if newest is not None:
                self._actors.weights.continue_from(newest.state["policy_version"])
                self._score = newest.state.get("score")
            self._steps.restore(newest)
        return newest

    def _commit_if_possible(self, step: int, budget: Metrics) -> Checkpoint | None:
        """Commit a checkpoint, or log a warning if the disk is full: the next may succeed."""
        try:
            return self._commit(step, budget)
        except CheckpointError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            logger.warning("%s; continuing without this checkpoint", error)
            return None

    def _commit(self, step: int, budget: Metrics) -> Checkpoint:
        # Scenes and sampling seeds are functions of the step, so no other RNG state is needed.
        state: JSON = {
            "policy_version": self._actors.weights.version,
            "budget": budget,
            **self._steps.state(),
        }
        if self._score is not None:
            state["score"] = self._score

        def write(folder: Path) -> None:
            self._actors.learner.save(folder)
            self._steps.save(folder)

        with self._meter.phase("saving"):
            checkpoint = self._run.commit(step, state, write)
        self._actors.learner.continue_from(checkpoint)
        return checkpoint
