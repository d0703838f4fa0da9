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
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import ray

from cluster.runtime.placement import RANK_CPUS
from cluster.runtime.session import actor_environment
from cluster.runtime.stopping import StopRequest
from cluster.training.reporter import Reporter
from cluster.training.sft_rank import SFTJob, train_rank
from physrl.algorithms.health import HealthCheck
from physrl.config.run import RunConfig
from physrl.errors import LearnerLostError, PhysRLError
from physrl.metrics import MetricsWriter, read_metrics
from physrl.storage.checkpoints import Checkpoint, Checkpoints

ATTEMPTS = 3
"""As many times may the ranks start before the run ends."""
POLL_SECONDS = 0.5
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
        self._watch = HealthCheck()
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
