"""A rank of SFT by itself: the training function of each Ray Train worker."""

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import ray

from cluster.learner.rank import LearnerRank
from cluster.training.record import STOPPED_UPLOAD_SECONDS, RunRecord
from physrl.algorithms.budget import spend
from physrl.algorithms.metrics import combine
from physrl.config.run import RunConfig
from physrl.errors import ConfigError, DivergedError, PhysRLError
from physrl.question_source import run_source
from physrl.rollout import step_indices
from physrl.storage.run_files import CONFIG
from physrl.types import JSON, Metrics
from physrl.world import World

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class SFTJob:
    """The arguments of all ranks."""

    config: RunConfig
    stop_flag: ray.actor.ActorHandle


def train_rank(job: SFTJob) -> PhysRLError | None:
    """Train from the newest checkpoint to the last step, or until a stop is requested.

    Returns:
        The error that ended training on all ranks, if a retry would be of no use. Ray Train retries
        errors that are raised.
    """
    from ray.train import get_context

    from physrl.models.deepspeed_engine import adopt_ranks

    config, number = job.config, get_context().get_world_rank()
    try:
        check_shared_folder(config, _all_gather((config.folder / CONFIG).exists()))
    except ConfigError as error:
        return error
    rank = LearnerRank(number, config.runtime.threads)
    adopt_ranks()
    with ExitStack() as stack:
        record = RunRecord(config) if number == 0 else None
        if record is not None:
            stack.callback(record.close)
            # The driver uploads the rest once the run has finished.
            stack.callback(record.upload, STOPPED_UPLOAD_SECONDS)
        world = stack.enter_context(closing(World()))
        try:
            _train(rank, number, world, record, job)
        except DivergedError as error:
            return error
    return None


def check_shared_folder(config: RunConfig, exists: Sequence[bool]) -> None:
    """Check that the run's folder exists on the machine of every rank.

    Raises:
        ConfigError: it does not; the message names the first such rank.
    """
    if not all(exists):
        raise ConfigError(
            f"output is {config.output}, which does not exist on the machine of rank "
            f"{list(exists).index(False)}: set output= to a folder that all machines share, or "
            "lower runtime.learner_ranks to what one machine can hold"
        )


def share_indices(config: RunConfig, step: int, number: int) -> range:
    """Return a rank's share of a step's scenes; the shares of all ranks in order are the step."""
    indices, ranks = step_indices(config, step), config.runtime.learner_ranks
    first, last = (len(indices) * each // ranks for each in (number, number + 1))
    return indices[first:last]


def _train(
    rank: LearnerRank, number: int, world: World, record: RunRecord | None, job: SFTJob
) -> None:
    """Run all steps of one rank.

    Args:
        record: the run's record on rank 0; None on other ranks.
    """
    config = job.config
    source = run_source(config, config.task, "train")
    newest = _broadcast(None if record is None else record.restore())
    rank.load(config, None if newest is None else newest.path / "learner")
    step = 0 if newest is None else newest.step
    budget: Metrics = {} if newest is None else newest.state["budget"]
    stopped = False
    while step < config.algorithm.steps and not stopped:
        began = time.monotonic()
        share = world.demonstrate(source, share_indices(config, step, number))
        shares = _all_gather(share)
        demonstrated = time.monotonic()
        rank.receive(*shares)
        metrics = combine(_all_gather(rank.update(step, None)))
        step += 1
        budget = spend(budget, metrics)
        metrics |= budget | {
            "time/demonstrating_s": demonstrated - began,
            "time/updating_s": time.monotonic() - demonstrated,
            "time/step_s": time.monotonic() - began,
        }
        if record is not None:
            metrics = record.write(step, metrics)
            stopped = ray.get(job.stop_flag.is_set.remote())
        # Ray Train's `report` is not used, since each call waits seconds for its controller.
        stopped = _broadcast(stopped)
        if stopped or step % config.checkpoint.every == 0 or step == config.algorithm.steps:
            _commit(rank, record, step, {"policy_version": 0, "budget": budget})


def _commit(rank: LearnerRank, record: RunRecord | None, step: int, state: JSON) -> None:
    """Commit a checkpoint: all ranks write into the folder that rank 0 creates."""

    def write(folder: Path) -> None:
        rank.save_model(folder)
        rank.save_state(folder / "learner")

    if record is None:
        write(_broadcast(None))
    else:
        record.commit(step, state, lambda folder: write(_broadcast(folder)))


def _broadcast(value: Any) -> Any:
    """Return the value of rank 0 on all ranks."""
    import torch

    values = [value]
    torch.distributed.broadcast_object_list(values)
    return values[0]


def _all_gather(value: Value) -> Sequence[Value]:
    """Return the values of all ranks in their order."""
    import torch

    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values
