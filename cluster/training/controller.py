"""The training loop of one phase: steps, validation, checkpoints, and what people see of them.

    steps.step  (`RLSteps`)   groups of completions, carried out (of a policy up to k versions old)
         |                              v
         |                    advantages -> TrainingBatch -> LearnerGroup.update -> new weights
         |                              v
         |                    WeightSync.publish -> policy v + 1 --> the next completions
         |      (`SFTSteps`)  demonstrations -> LearnerGroup.update
         v
    metrics, validation, and now and then a checkpoint

In sync mode k is 0: while the learner works, scenes of the next step are drawn, and no more. In
async mode completions of the next k steps are computed meanwhile. Actors that are lost are replaced
where they are used (`ActorPool`, `LearnerGroup`); what happens here happens once.
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
from cluster.training.steps import make_steps
from cluster.training.timing import StepMeter
from physrl.algorithms.budget import spend
from physrl.algorithms.health import HealthCheck
from physrl.config.run import RunConfig
from physrl.errors import CheckpointError
from physrl.metrics import read_metrics
from physrl.storage.checkpoints import Checkpoint
from physrl.tracing import write_chrome_trace
from physrl.types import JSON, Metrics, Split

logger = logging.getLogger(__name__)


class Controller:
    """Trains one policy by one algorithm; its files lie in `config.folder`."""

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
        self._steps = make_steps(config, actors, self._meter, stop, split)
        self._score: float | None = None

    def train(self) -> Checkpoint:
        """Run all steps after the newest checkpoint, and return the last checkpoint.

        A requested stop ends the loop with a checkpoint: after an update that is under way, but
        without waiting for completions.
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
            if newest is None or newest.step < step:
                newest = self._commit(step, budget)
            self._steps.publish()
        return newest

    @contextmanager
    def _closing(self) -> Iterator[None]:
        """However the loop ends, leave what it made on the disk and in storage."""
        with ExitStack() as last:
            last.callback(self._run.close)  # the last: a tracker may take its time
            last.callback(self._upload)
            last.callback(self._steps.close)
            yield

    def _record(self, step: int, metrics: Metrics, health: HealthCheck) -> None:
        """Write a step's metrics down, and show them with the warnings that are due."""
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
        """Run one step, and measure where its time went."""
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
        """Measure greedy success on validation scenes of the trained task."""
        config = self._config
        with self._meter.phase("validating"):
            self._steps.publish()
            try:
                result = evaluate_task(
                    self._actors.rollouts, config, config.task, "validation", "greedy", self._stop
                )
            except Stopped:  # the step is done all the same
                return {}
        return {f"validation/{config.task}/accuracy": result.count.rate}

    def _restore(self) -> Checkpoint | None:
        """Load the newest checkpoint, or begin where there is none."""
        with self._meter.phase("loading"):
            newest = self._run.restore()
            self._actors.learner.load(self._config, newest)
            if newest is not None:
                self._actors.weights.continue_from(newest.state["policy_version"])
                self._score = newest.state.get("score")
            self._steps.restore(newest)
        return newest

    def _commit_if_possible(self, step: int, budget: Metrics) -> Checkpoint | None:
        """Make a checkpoint, or warn where the disk has no room: there may be by the next."""
        try:
            return self._commit(step, budget)
        except CheckpointError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            logger.warning("%s; the run goes on without it", error)
            return None

    def _commit(self, step: int, budget: Metrics) -> Checkpoint:
        # Scenes and sampling seeds are functions of the step: it is the data cursor and RNG state.
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
