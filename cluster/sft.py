"""SFT by itself: learner ranks under Ray Train, without servers and rollout workers.

    driver   TorchTrainer.fit; shows what the run's metrics say, and passes on a wish to stop
                |
    ranks    each demonstrates its share of a step's scenes -> all exchange them -> an update
                |
             the first writes metrics and checkpoints into the run's folder, which all of them see

Scenes, updates and files are those of the controller, and so are the weights that come out. When a
rank is lost, Ray Train starts all of them again, and they go on from the newest checkpoint.
"""

import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import ray

from cluster.controller import Reporter
from cluster.learner_group import LearnerRank
from cluster.placement import RANK_CPUS
from cluster.run_record import RunRecord
from cluster.session import actor_environment
from cluster.stopping import StopRequest
from physrl.algorithms.budget import spend
from physrl.algorithms.metrics import combine
from physrl.algorithms.watch import Watch
from physrl.config.run import RunConfig
from physrl.curriculum import make_curriculum
from physrl.demonstrations import demonstrate
from physrl.environments.renderer import make_renderer
from physrl.environments.simulator import Simulator
from physrl.errors import ConfigError, DivergedError, LearnerLostError, PhysRLError
from physrl.metrics import MetricsWriter, read_metrics
from physrl.rollout import step_indices
from physrl.scene_source import scene_source
from physrl.storage.checkpoints import Checkpoint, Checkpoints
from physrl.storage.run_files import CONFIG
from physrl.types import JSON, Demonstration, Metrics

ATTEMPTS = 3
"""As many times may the ranks start before the run ends."""
POLL_SECONDS = 0.5
UPLOAD_SECONDS = 60.0
"""How long the last checkpoint may take to storage before the driver sees to it."""
Value = TypeVar("Value")
logger = logging.getLogger(__name__)


class StopSwitch:
    """An actor that ranks on any machine ask whether the driver was told to stop."""

    def __init__(self) -> None:
        self._on = False

    def turn_on(self) -> None:
        """Have the ranks end after the step under way, with a checkpoint."""
        self._on = True

    def is_on(self) -> bool:
        """Whether they shall."""
        return self._on


@dataclass(frozen=True, slots=True)
class SFTJob:
    """What every rank is given."""

    config: RunConfig
    switch: ray.actor.ActorHandle


def train_sft(config: RunConfig, reporter: Reporter, stop: StopRequest) -> Checkpoint:
    """Run all steps that the newest checkpoint has not, and return the last checkpoint.

    Needs a running Ray cluster, and an opened run. A requested stop ends it after the step under
    way.

    Raises:
        DivergedError: as `Learner.update`.
        LearnerLostError: the ranks are lost however often they are started again.
        ConfigError: the run's folder is not there on every machine.
    """
    checkpoints = Checkpoints(config.folder, config.checkpoint.keep_last)
    newest = checkpoints.latest()
    follower = _Follower(config.folder, 0 if newest is None else newest.step, reporter)
    switch = ray.remote(num_cpus=0)(StopSwitch).remote()
    reporter.phase("starting ranks")
    # Not in this thread, where Ray Train would take SIGINT for itself.
    thread = ThreadPoolExecutor(1, "ray-train")
    try:
        fitting = thread.submit(_fit, SFTJob(config, switch))
        while not wait([fitting], POLL_SECONDS).done:
            if stop.requested:
                switch.turn_on.remote()
            follower.look()
        fitting.result()
    finally:
        thread.shutdown(wait=False)
        follower.look()
    last = checkpoints.latest()
    assert last is not None  # written before the ranks ended
    return last


def _fit(job: SFTJob) -> None:
    # Ray Train is told of this by the environment: its ranks would leave the working directory,
    # from which a configuration's folders may be named.
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer  # imports torch

    runtime = job.config.runtime
    resources = {"CPU": RANK_CPUS}
    if runtime.gpus_per_rank:
        resources["GPU"] = runtime.gpus_per_rank
    trainer = TorchTrainer(
        train_rank,
        train_loop_config=job,
        torch_config=TorchConfig(timeout_s=round(runtime.update_timeout_s)),
        scaling_config=ScalingConfig(
            num_workers=runtime.learner_ranks,
            use_gpu=bool(runtime.gpus_per_rank),
            resources_per_worker=resources,
        ),
        run_config=RunConfig(
            name=job.config.name,
            storage_path=str(job.config.folder / ".ray-train"),
            failure_config=FailureConfig(max_failures=ATTEMPTS - 1),
            worker_runtime_env={"env_vars": actor_environment(runtime.threads)},
        ),
    )
    try:
        error = trainer.fit().return_value
    except TrainingFailedError as failure:
        causes = list(getattr(failure, "worker_failures", {}).values())
        ours = [cause for cause in causes if isinstance(cause, PhysRLError)]
        if ours:
            raise ours[0] from failure
        raise LearnerLostError(
            f"learner ranks were lost {ATTEMPTS} times ({[*causes, failure][0]}): mend that, and "
            "continue with --resume"
        ) from failure
    if error is not None:
        raise error


class _Follower:
    """Shows steps once the first rank has written them down, and warns of troubles."""

    def __init__(self, folder: Path, step: int, reporter: Reporter) -> None:
        with closing(MetricsWriter(folder)) as metrics:
            metrics.truncate_after(step)  # or steps that are done again would be shown before
        self._folder, self._shown, self._reporter = folder, step, reporter
        self._watch = Watch()
        for row in read_metrics(folder):
            self._watch(row)

    def look(self) -> None:
        for row in read_metrics(self._folder):
            if row["step"] <= self._shown:
                continue
            self._shown = row["step"]
            for warning in self._watch(row):
                logger.warning("step %d: %s", row["step"], warning)
            self._reporter.step(row["step"], row)


class Demonstrator:
    """Demonstrates one rank's share of each step's scenes."""

    def __init__(self, config: RunConfig, rank: int) -> None:
        self._config, self._rank = config, rank
        self._source = scene_source(config, config.task, "train")
        self._renderer, self._simulator = make_renderer(config.environment), Simulator()

    def share(self, step: int) -> list[Demonstration]:
        """Those of the step; the ranks' shares in turn are the step's, in its order."""
        indices, ranks = step_indices(self._config, step), self._config.runtime.learner_ranks
        first, last = (len(indices) * each // ranks for each in (self._rank, self._rank + 1))
        return demonstrate(self._source, indices[first:last], self._renderer, self._simulator)

    def close(self) -> None:
        self._renderer.close()
        self._simulator.close()


def train_rank(job: SFTJob) -> PhysRLError | None:
    """What every rank runs: from the newest checkpoint to the last step, or until told to stop.

    Returns:
        What ended it on every rank alike, and would again; Ray Train tries again what is raised.
    """
    from ray.train import get_context

    from physrl.models.deepspeed_engine import adopt_ranks

    config, number = job.config, get_context().get_world_rank()
    try:
        check_shared(config, _from_all((config.folder / CONFIG).exists()))
    except ConfigError as error:
        return error
    rank = LearnerRank(number, config.runtime.threads)
    adopt_ranks()
    with ExitStack() as last:
        record = RunRecord(config) if number == 0 else None
        if record is not None:
            last.callback(record.close)
            last.callback(record.upload, UPLOAD_SECONDS)
        demonstrator = last.enter_context(closing(Demonstrator(config, number)))
        try:
            _train(rank, demonstrator, record, job)
        except DivergedError as error:
            return error
    return None


def check_shared(config: RunConfig, seen: Sequence[bool]) -> None:
    """Refuse a run's folder that only some ranks see.

    Raises:
        ConfigError: with the first that does not.
    """
    if not all(seen):
        raise ConfigError(
            f"output is {config.output}, which the machine of rank {list(seen).index(False)} does "
            "not see: set output= to a folder that all machines share, or runtime.learner_ranks to "
            "what one machine has room for"
        )


def _train(
    rank: LearnerRank, demonstrator: Demonstrator, record: RunRecord | None, job: SFTJob
) -> None:
    """All steps of one rank.

    Args:
        record: the first rank's; None for the others.
    """
    config = job.config
    newest = _from_first(None if record is None else record.restore())
    rank.load(config)
    if newest is not None:
        rank.load_state(newest.path / "learner")
    step = 0 if newest is None else newest.step
    budget: Metrics = {} if newest is None else newest.state["budget"]
    stopped = False
    while step < config.algorithm.steps and not stopped:
        began = time.monotonic()
        shown = [one for part in _from_all(demonstrator.share(step)) for one in part]
        demonstrated = time.monotonic()
        metrics = combine(_from_all(rank.imitate(shown, step=step)))
        step += 1
        budget = spend(budget, metrics)
        metrics |= budget | {
            "time/demonstrating_s": demonstrated - began,
            "time/updating_s": time.monotonic() - demonstrated,
            "time/step_s": time.monotonic() - began,
        }
        if record is not None:
            metrics = record.write(step, metrics)
            stopped = ray.get(job.switch.is_on.remote())
        stopped = _from_first(stopped)  # Ray Train's own report waits 2 s for its controller
        if stopped or step % config.checkpoint.every == 0 or step == config.algorithm.steps:
            _commit(rank, record, step, _state(config, budget))


def _commit(rank: LearnerRank, record: RunRecord | None, step: int, state: JSON) -> None:
    """A checkpoint: all ranks write into the folder that the first one makes."""

    def write(folder: Path) -> None:
        rank.save_model(folder)
        rank.save_state(folder / "learner")

    if record is None:
        write(_from_first(None))
    else:
        record.commit(step, state, lambda folder: write(_from_first(folder)))


def _state(config: RunConfig, budget: Metrics) -> JSON:
    """What state.json holds: the controller could go on from it."""
    curriculum = make_curriculum(config, scene_source(config, config.task, "train"))
    return {
        "policy_version": 0,
        "published": {},
        "budget": budget,
        "curriculum": [curriculum.start()],
    }


def _from_first(value: Any) -> Any:
    """The first rank's value, on all of them."""
    import torch

    values = [value]
    torch.distributed.broadcast_object_list(values)
    return values[0]


def _from_all(value: Value) -> Sequence[Value]:
    """Every rank's value, in their order."""
    import torch

    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values
