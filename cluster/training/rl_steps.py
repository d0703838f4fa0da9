"""RL steps: rollouts, an update on them, and new weights for the next rollouts."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import ray
from ray.exceptions import ObjectLostError

from cluster.learner.step_rollouts import StepRollouts
from cluster.rollout.queue import RolloutQueue
from cluster.rollout.queued_steps import load_queued_steps
from cluster.rollout.stages import read_records, record_references
from cluster.runtime.actor_pool import ATTEMPTS
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.agreement import EXAMPLES, check_agreement
from cluster.training.lagged_curriculum import LaggedCurriculum
from cluster.training.steps import NO_SCENES, TrainingSteps
from cluster.training.timing import StepMeter
from physrl.algorithms.advantage import Rewards
from physrl.algorithms.batch import rollout_batch, rollout_metrics
from physrl.algorithms.credit import credit
from physrl.algorithms.dynamic_sampling import refill
from physrl.config.algorithm import RolloutConfig
from physrl.config.run import RunConfig
from physrl.config.runtime import RuntimeConfig
from physrl.curriculum import make_curriculum
from physrl.data.rollout_log import RolloutLog
from physrl.errors import GenerationError, LostError
from physrl.groups import Group
from physrl.protocols import RolloutRequest
from physrl.question_source import Source
from physrl.rollout import step_indices, training_request
from physrl.storage.checkpoints import Checkpoint
from physrl.types import JSON, Metrics

logger = logging.getLogger(__name__)


class RLSteps(TrainingSteps):
    """Steps on rollouts, each of which publishes the new weights."""

    def __init__(
        self,
        config: RunConfig,
        algorithm: RolloutConfig,
        actors: RunActors,
        meter: StepMeter,
        stop: StopRequest,
        source: Source,
    ) -> None:
        super().__init__(config, actors, meter, stop, source)
        self._algorithm = algorithm
        staleness = config.runtime.staleness
        # The queue requests one step more than may be stale, to sample its scenes early.
        self._curriculum = LaggedCurriculum(make_curriculum(config, source), staleness + 1)
        self._queue = RolloutQueue(
            actors.rollouts,
            self._request,
            algorithm.steps,
            staleness,
            most_sequences(config.runtime, algorithm.completions_per_step),
        )
        self._rollout_log = RolloutLog(config.folder, self._write)
        actors.writer.start()
        self._published: dict[int, int] = {}
        """Number of steps that each published policy version was trained on."""
        self._compared = False
        """True once learner and servers have scored the same completions."""

    def step(self, step: int, profile: Path | None) -> Metrics:
        config, algorithm = self._config, self._algorithm
        began = time.monotonic()
        with self._meter.phase("rolling out"):
            drawn = self._stop.wait_for(self._queue.take(step))
            if not drawn:
                raise LostError(NO_SCENES)
            sampled = refill(drawn, partial(self._draw, step), config, algorithm, step)
        # From here on, the step is completed even if a stop is requested.
        shift = self._curriculum.measure(step, step_indices(config, step))
        staleness = check_staleness(sampled.groups, self._published, step, config.runtime.staleness)
        if not self._compared and not staleness:
            self._compare(sampled.groups)
        # Refills replace groups of equal rewards: the policy's metrics are those of the first draw.
        metrics = rollout_metrics(drawn) | self._learn(sampled.groups, drawn, step, profile)
        completions = sampled.drawn * algorithm.group_size
        return (
            metrics
            | sampled.metrics
            | shift
            | {
                "throughput/completions_per_s": completions / (time.monotonic() - began),
                "policy/staleness": float(staleness),
                "policy/steps_waiting": float(len(self._queue.completed)),
            }
        )

    def restore(self, checkpoint: Checkpoint | None) -> None:
        if checkpoint is not None:
            self._curriculum.restore(checkpoint.state["curriculum"], checkpoint.step)
            self._queue.restore(load_queued_steps(checkpoint.path))
            self._published = {int(v): s for v, s in checkpoint.state["published"].items()}
        self._publish(0 if checkpoint is None else checkpoint.step)

    def state(self) -> JSON:
        return {"published": self._published, "curriculum": self._curriculum.states}

    def save(self, folder: Path) -> None:
        """Write the completions of queued steps."""
        for step, groups in self._queue.completed.items():
            try:
                self._actors.writer.save_queued_step(folder, step, record_references(groups))
            except ObjectLostError:  # a resumed run samples them again
                logger.warning("step %d waits, but was lost with a machine", step + 1)

    def close(self) -> None:
        self._queue.cancel()
        self._rollout_log.close()

    def _request(self, step: int, indices: range | None = None) -> RolloutRequest:
        """Make the request of a step, for its regular scenes or for additional ones."""
        indices = step_indices(self._config, step) if indices is None else indices
        source = self._curriculum.source(step, indices)
        return training_request(self._config, step, source, indices)

    def _draw(self, step: int, indices: range) -> list[Group]:
        """Roll out additional scenes of a step."""
        request = self._request(step, indices)
        return self._stop.wait_for(self._actors.rollouts.submit(request))

    def _learn(
        self, groups: Sequence[Group], drawn: Sequence[Group], step: int, profile: Path | None
    ) -> Metrics:
        """Compute advantages, update, publish the weights, and write the rollouts.

        Args:
            drawn: the groups before refills, which the curriculum observes.
        """
        groups, advantages, updated = self._update(groups, step, profile)
        self._curriculum.observe(step, step_indices(self._config, step), drawn)
        with self._meter.phase("syncing"):
            self._publish(step + 1)
        self._queue.begin(step + 1)  # to sample while this step is being written
        with self._meter.phase("writing"):
            self._rollout_log.write(step + 1, groups, advantages)
        return updated

    def _update(
        self, groups: Sequence[Group], step: int, profile: Path | None
    ) -> tuple[Sequence[Group], Rewards, Metrics]:
        """Update on groups; those that were lost with a machine are first rolled out again.

        Returns:
            The groups that were trained on, the advantages of their rollouts, and metrics.
        """
        for _ in range(ATTEMPTS):
            advantages = credit(groups, self._config, step)
            rollouts = ray.put(StepRollouts(tuple(record_references(groups)), advantages))
            try:
                with self._actors.learning(), self._meter.phase("updating"):
                    updated = self._actors.learner.update(step, [rollouts], profile)
            except ObjectLostError:
                groups = self._roll_out_lost(groups, step)
            else:
                return groups, advantages, updated
        raise LostError(
            f"rollouts of step {step + 1} were lost with a machine, {ATTEMPTS} times in a row: "
            "continue with --resume"
        )

    def _roll_out_lost(self, groups: Sequence[Group], step: int) -> list[Group]:
        """Roll out the groups again that were lost with a machine: the same scenes and seeds."""
        lost = self._actors.rollouts.find_lost(groups)
        logger.warning("step %d: %d groups are lost: rolling them out again", step + 1, len(lost))
        with self._meter.phase("rolling out"):
            requests = {index: self._request(step, range(index, index + 1)) for index in lost}
            begun = {i: self._actors.rollouts.submit(each) for i, each in requests.items()}
            again = {index: groups.result() for index, groups in begun.items()}
        found = [again.get(group.index, [group]) for group in groups]
        return [group for each in found for group in each]

    def _write(self, path: Path, groups: Sequence[Group], advantages: Rewards, step: int) -> None:
        """Write a step's rollouts, encoded by workers, on this machine."""
        try:
            parts = self._actors.rollouts.encode(groups, advantages, step)
            self._actors.writer.write(path, parts)
        except ObjectLostError:  # they have been trained on
            logger.warning("the rollouts of step %d were lost with a machine", step)

    def _compare(self, groups: Sequence[Group]) -> None:
        """Compare learner and servers on some of the first completions."""
        records = read_records(groups[: math.ceil(EXAMPLES / self._algorithm.group_size)])
        batch = rollout_batch(records, np.zeros((len(records), self._algorithm.group_size)))
        examples = batch.examples[:EXAMPLES]
        with self._actors.learning(), self._meter.phase("updating"):
            check_agreement(examples, self._actors.learner.logprobs(examples))
        self._compared = True

    def _publish(self, steps: int) -> None:
        """Publish the learner's weights, which were trained on `steps` steps."""
        weights = self._actors.weights
        weights.publish()
        self._published[weights.version] = steps
        oldest = steps - self._config.runtime.staleness
        self._published = {v: s for v, s in self._published.items() if s >= oldest}


def most_sequences(runtime: RuntimeConfig, completions_per_step: int) -> int | None:
    """Return the largest number of sequences that are generated at once; None for any.

    With `continuous` batching, `staleness` steps of completions are generated at once, and those of
    the step after start one by one as these end: so steps do not end together, which would leave
    servers without work.
    """
    if runtime.batching == "fixed" or not runtime.staleness:
        return None
    return runtime.staleness * completions_per_step


def check_staleness(
    groups: Sequence[Group], published: Mapping[int, int], step: int, most: int
) -> int:
    """Return the staleness of the oldest completion, in steps.

    Args:
        published: number of steps that each published policy version was trained on.
        step: number of steps that the current policy was trained on.
        most: largest staleness allowed.

    Raises:
        GenerationError: a completion is older, or is of a policy that was not published.
    """
    versions = frozenset[int]().union(*(group.policy_versions for group in groups))
    if not versions <= published.keys():
        raise GenerationError(f"completions of unpublished policy versions: {sorted(versions)}")
    staleness = step - min(published[version] for version in versions)
    if not 0 <= staleness <= most:
        raise GenerationError(
            f"a completion's policy is {staleness} steps old, more than {most} "
            "(runtime.max_staleness)"
        )
    return staleness
