"""SFT by itself: learner ranks under Ray Train, without servers and rollout workers.

    driver   TorchTrainer.fit; shows the metrics of the run, and passes stop requests on
                |
    ranks    each makes the demonstrations of its share of a step's scenes -> all-gather -> update
                |
             rank 0 writes metrics and checkpoints into the run's folder, which all ranks share

Scenes, updates, files and resulting weights are the same as the controller's. If a rank is lost,
Ray Train restarts all ranks, which resume from the newest checkpoint.
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
from physrl.metrics import read_metrics
from physrl.metrics.writer import MetricsWriter
from physrl.storage.checkpoints import Checkpoint, Checkpoints

ATTEMPTS = 3
"""Number of starts of the ranks before their loss ends the run."""
POLL_SECONDS = 0.5
logger = logging.getLogger(__name__)


class StopFlag:
    """An actor that passes a stop request from the driver to ranks on any machine."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Request that the ranks end with a checkpoint after their current step."""
        self._is_set = True

    def is_set(self) -> bool:
        """Return whether a stop was requested."""
        return self._is_set


def train_sft(config: RunConfig, reporter: Reporter, stop: StopRequest) -> Checkpoint:
    """Run all steps after the newest checkpoint, and return the last checkpoint.

    Needs a running Ray cluster and an opened run. A stop request ends it after the current step.

    Raises:
        DivergedError: too many updates were not finite, see `Learner.update`.
        LearnerLostError: ranks were lost in every attempt.
        ConfigError: not all machines share the run's folder.
    """
    checkpoints = Checkpoints(config.folder, config.checkpoint.keep_last)
    newest = checkpoints.latest()
    progress = _ProgressFollower(config.folder, 0 if newest is None else newest.step, reporter)
    stop_flag = ray.remote(num_cpus=0)(StopFlag).remote()
    reporter.phase("starting ranks")
    # In another thread, since Ray Train would handle SIGINT in this one.
    thread = ThreadPoolExecutor(1, "ray-train")
    try:
        training = thread.submit(_fit, SFTJob(config, stop_flag))
        while not wait([training], POLL_SECONDS).done:
            if stop.requested:
                stop_flag.set.remote()
            progress.poll()
        training.result()
    finally:
        thread.shutdown(wait=False)
        progress.poll()
    last = checkpoints.latest()
    assert last is not None  # written before the ranks ended
    return last


def _fit(job: SFTJob) -> None:
    # Ranks must stay in the working directory, which the configuration's paths may be relative to.
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
            f"learner ranks were lost {ATTEMPTS} times ({[*causes, failure][0]}): fix the cause "
            "and continue with --resume"
        ) from failure
    if error is not None:
        raise error


class _ProgressFollower:
    """Shows the steps that rank 0 has written, and logs the warnings of the health check."""

    def __init__(self, folder: Path, step: int, reporter: Reporter) -> None:
        with closing(MetricsWriter(folder)) as metrics:
            metrics.truncate_after(step)  # or steps that are repeated would be shown before
        self._folder, self._last_step, self._reporter = folder, step, reporter
        self._health = HealthCheck()
        for row in read_metrics(folder):
            self._health(row)

    def poll(self) -> None:
        for row in read_metrics(self._folder):
            if row["step"] <= self._last_step:
                continue
            self._last_step = row["step"]
            for warning in self._health(row):
                logger.warning("step %d: %s", row["step"], warning)
            self._reporter.step(row["step"], row)
