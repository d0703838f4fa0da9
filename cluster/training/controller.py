"""The training loop: moves records between the actors and owns the policy version.

    RolloutQueue.take -> groups of completions, carried out   (of a policy up to k versions old)
                              v
    rollout_advantages -> TrainingBatch -> Trainer.update -> weights
                              v
    Cluster.publish -> policy v + 1 --> the next completions
                              v
    metrics, rollouts, and now and then a checkpoint

In sync mode k is 0: while the learner works, scenes of the next step are drawn, and no more. In
async mode completions of the next k steps are computed meanwhile. Actors that are lost are replaced
where they are used (`ActorPool`, `Trainer`); what happens here happens once.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import ray

from cluster.evaluation.policy import evaluate_task
from cluster.rollout.answers import answers_in, load_answered, save_answered
from cluster.rollout.pipeline import Order
from cluster.rollout.queue import RolloutQueue
from cluster.runtime.stopping import Stopped, StopRequest
from cluster.training.actors import Cluster
from cluster.training.proposals import Proposals
from cluster.training.record import STOPPED_UPLOAD_SECONDS, UPLOAD_SECONDS, RunRecord
from cluster.training.timing import StepMeter
from physrl.algorithms.batch import rollout_advantages, rollout_batch, rollout_metrics
from physrl.algorithms.budget import spend
from physrl.algorithms.dynamic_sampling import refill
from physrl.algorithms.watch import Watch
from physrl.config.algorithm import SFTConfig
from physrl.config.run import RunConfig
from physrl.curriculum import make_curriculum
from physrl.data.rollout_log import RolloutLog
from physrl.errors import CheckpointError, GenerationError, LostError
from physrl.metrics import read_metrics
from physrl.protocols import Sampling
from physrl.rollout import step_indices, training_sampling
from physrl.scene_source import scene_source
from physrl.storage.checkpoints import Checkpoint
from physrl.tracing import write_chrome_trace
from physrl.types import JSON, Metrics, RolloutGroup, Split

NOTHING_LEFT = (
    "every scene of a step was left out: mend what the warnings before it name, and continue with "
    "--resume"
)
Result = TypeVar("Result")
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
        self._run = RunRecord(config)
        self._rollout_log = RolloutLog(config.folder)
        # The queue orders one step more than may be stale, so that its scenes are drawn early.
        curriculum = make_curriculum(config, self._source)
        self._proposals = Proposals(curriculum, config.runtime.staleness + 1)
        self._queue = RolloutQueue(
            cluster.rollouts, self._order, config.algorithm.steps, config.runtime.staleness
        )
        self._shown: dict[int, Future[list[ray.ObjectRef]]] = {}
        self._meter = StepMeter(cluster, reporter)
        self._score: float | None = None
        self._published: dict[int, int] = {}
        """From policy versions to the steps that they have learned from."""

    def train(self) -> Checkpoint:
        """Run all steps that the newest checkpoint has not, and return the last checkpoint.

        A requested stop ends the loop with a checkpoint: after an update that is under way, but
        without waiting for completions.
        """
        config = self._config
        with self._everything_kept():
            newest = self._restore()
            watch = Watch()
            for row in read_metrics(config.folder):
                watch(row)
            step = 0 if newest is None else newest.step
            budget: Metrics = {} if newest is None else newest.state["budget"]
            while step < config.algorithm.steps and not self._stop.requested:
                try:
                    metrics = self._measured_step(step)
                except Stopped:
                    break
                step += 1
                budget = spend(budget, metrics)
                self._record(step, metrics | budget, watch)
                if step % config.checkpoint.every == 0 and step < config.algorithm.steps:
                    newest = self._commit_if_possible(step, budget) or newest
            if newest is None or newest.step < step:
                newest = self._commit(step, budget)
        if isinstance(config.algorithm, SFTConfig):  # RL publishes after every step
            self._cluster.publish()
        return newest

    @contextmanager
    def _everything_kept(self) -> Iterator[None]:
        """However it ends: what is ordered is given up, what was made is on the disk and stored."""
        with ExitStack() as last:
            last.callback(self._run.close)  # the last: a tracker may take its time
            last.callback(self._upload)
            last.callback(self._rollout_log.close)
            last.callback(self._queue.cancel)
            yield

    def _record(self, step: int, metrics: Metrics, watch: Watch) -> None:
        """What people see of a step that is done."""
        accuracy = metrics.get(f"validation/{self._config.task}/accuracy")
        self._score = accuracy if self._config.evaluation.every else metrics.get("reward")
        metrics = self._run.write(step, metrics)
        for warning in watch(metrics):
            logger.warning("step %d: %s", step, warning)
        self._reporter.step(step, metrics)

    def _upload(self) -> None:
        with self._meter.phase("uploading"):
            self._run.upload(STOPPED_UPLOAD_SECONDS if self._stop.requested else UPLOAD_SECONDS)

    def _measured_step(self, step: int) -> Metrics:
        """One step, and where its time went."""
        config = self._config
        began = time.monotonic()
        metrics = self._step(step)
        if config.evaluation.every and (step + 1) % config.evaluation.every == 0:
            metrics |= self._validate()
        measured, spans = self._meter.read(time.monotonic() - began)
        if self._profiles(step):
            write_chrome_trace(self._profile / f"step-{step + 1:08d}.json", spans)
        return metrics | measured | {"policy/version": float(self._cluster.policy_version)}

    def _step(self, step: int) -> Metrics:
        algorithm = self._config.algorithm
        if isinstance(algorithm, SFTConfig):
            return self._imitate(step)
        began = time.monotonic()
        with self._meter.phase("rolling out"):
            indexed = self._await(self._queue.take(step))
            drawn = [group for _, group in indexed]
            if not drawn:
                raise LostError(NOTHING_LEFT)
            sampled = refill(drawn, partial(self._draw, step), self._config, algorithm, step)
        # From here on the step is done, whatever is asked for meanwhile.
        self._proposals.observe(step, step_indices(self._config, step), drawn)
        staleness = check_staleness(
            sampled.groups, self._published, step, self._config.runtime.staleness
        )
        # What refills left out would flatter the policy: its metrics are those of the first draw.
        metrics = rollout_metrics(drawn) | self._learn(sampled.groups, step) | sampled.metrics
        completions = sampled.drawn * algorithm.group_size
        metrics["throughput/completions_per_s"] = completions / (time.monotonic() - began)
        return metrics | {
            "policy/staleness": float(staleness),
            "policy/steps_waiting": float(len(self._queue.waiting)),
        }

    def _imitate(self, step: int) -> Metrics:
        for each in range(step, min(step + 2, self._config.algorithm.steps)):
            if each not in self._shown:
                indices = step_indices(self._config, each)
                self._shown[each] = self._cluster.rollouts.demonstrate(self._source, indices)
        with self._meter.phase("demonstrating"):
            demonstrations = self._await(self._shown.pop(step))
        if not demonstrations:
            raise LostError(NOTHING_LEFT)
        with self._cluster.learning(), self._meter.phase("updating"):
            return self._cluster.learners.imitate(demonstrations, step)

    def _order(self, step: int) -> Order:
        return self._order_of(step, step_indices(self._config, step))

    def _order_of(self, step: int, indices: range) -> Order:
        source = self._proposals.source(step, indices)
        return Order(source, indices, training_sampling(self._config, step), self._config.reward)

    def _draw(self, step: int, indices: range) -> list[RolloutGroup]:
        """Completions about other scenes."""
        order = self._order_of(step, indices)
        return [group for _, group in self._await(self._cluster.rollouts.submit(order))]

    def _learn(self, groups: list[RolloutGroup], step: int) -> Metrics:
        """Advantages, update, new weights to the servers."""
        algorithm = self._config.algorithm
        assert not isinstance(algorithm, SFTConfig)
        longest = self._config.model.max_completion_tokens
        advantages = rollout_advantages(groups, algorithm, longest)
        with self._cluster.learning(), self._meter.phase("updating"):
            batch = rollout_batch(groups, advantages)
            if self._profiles(step):
                updated = self._cluster.learners.profiled_update(batch, step, self._profile)
            else:
                updated = self._cluster.learners.update(batch, step)
        with self._meter.phase("syncing"):
            self._publish(step + 1)
        self._queue.begin(step + 1)  # while this step is written down
        with self._meter.phase("writing"):
            self._rollout_log.write(step + 1, groups, advantages.ravel().tolist())
        return updated

    def _validate(self) -> Metrics:
        """Greedy success on validation scenes of the trained task."""
        config = self._config
        with self._meter.phase("validating"):
            if isinstance(config.algorithm, SFTConfig):
                self._cluster.publish()
            greedy = Sampling(1, 0.0, config.model.max_completion_tokens, seed=config.seed)
            try:
                result = evaluate_task(
                    self._cluster, config, config.task, "validation", "greedy", greedy, self._stop
                )
            except Stopped:  # the step is done all the same
                return {}
        return {f"validation/{config.task}/accuracy": result.count.rate}

    def _restore(self) -> Checkpoint | None:
        """Load the newest checkpoint, or start afresh where there is none."""
        with self._meter.phase("loading"):
            newest = self._run.restore()
            self._cluster.learners.load(self._config, newest)
            if newest is not None:
                self._cluster.continue_from(newest.state["policy_version"])
                self._score = newest.state.get("score")
                self._proposals.restore(newest.state["curriculum"], newest.step)
                self._queue.put_back(load_answered(newest.path))
                self._published = {int(v): s for v, s in newest.state["published"].items()}
            if not isinstance(self._config.algorithm, SFTConfig):
                self._publish(0 if newest is None else newest.step)
        return newest

    def _publish(self, steps: int) -> None:
        """Have the servers take the learner's weights, which have learned from so many steps."""
        self._cluster.publish()
        self._published[self._cluster.policy_version] = steps
        oldest = steps - self._config.runtime.staleness
        self._published = {v: s for v, s in self._published.items() if s >= oldest}

    def _commit_if_possible(self, step: int, budget: Metrics) -> Checkpoint | None:
        """A checkpoint, or a warning where the disk has no room: there may be by the next."""
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
            "policy_version": self._cluster.policy_version,
            "published": self._published,
            "budget": budget,
            "curriculum": self._proposals.states,
        }
        if self._score is not None:
            state["score"] = self._score
        waiting = {step: answers_in(groups) for step, groups in self._queue.waiting.items()}

        def write(folder: Path) -> None:
            self._cluster.learners.save(folder)
            save_answered(waiting, folder)

        with self._meter.phase("saving"):
            checkpoint = self._run.commit(step, state, write)
        self._cluster.learners.continue_from(checkpoint)
        return checkpoint

    def _profiles(self, step: int) -> bool:
        return self._config.runtime.profile_step == step + 1

    @property
    def _profile(self) -> Path:
        return self._config.folder / "profile"

    def _await(self, future: "Future[Result]") -> Result:
        """What actors compute, unless somebody wants to stop.

        Raises:
            Stopped: a stop was requested.
        """
        return self._stop.wait_for(future)


def check_staleness(
    groups: Sequence[RolloutGroup], published: Mapping[int, int], step: int, most: int
) -> int:
    """How many steps have been learned from since the policy of the oldest completion.

    Args:
        published: from policy versions to the steps that they have learned from.
        step: as many have been learned from by now.

    Raises:
        GenerationError: more than `most`, or a completion is of no policy that was published.
    """
    versions = {attempt.completion.policy_version for g in groups for attempt in g.attempts}
    if not versions <= published.keys():
        raise GenerationError(f"completions of policy versions {sorted(versions)}, not published")
    staleness = step - min(published[version] for version in versions)
    if not 0 <= staleness <= most:
        raise GenerationError(
            f"completions of a policy that is {staleness} steps old cannot train: {most} is the "
            "most (runtime.max_staleness)"
        )
    return staleness
