"""A rank of SFT by itself: what Ray Train runs in each of its workers.

Each rank demonstrates its share of a step's scenes, all exchange them, and all update; the first
writes metrics and checkpoints into the run's folder, which all of them see.
"""

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
from physrl.rollout import step_indices
from physrl.scene_source import scene_source
from physrl.storage.run_files import CONFIG
from physrl.types import JSON, Demonstration, Metrics
from physrl.world import World

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class SFTJob:
    """What every rank is given."""

    config: RunConfig
    switch: ray.actor.ActorHandle


class Demonstrator:
    """Demonstrates one rank's share of each step's scenes."""

    def __init__(self, config: RunConfig, rank: int) -> None:
        self._config, self._rank = config, rank
        self._source = scene_source(config, config.task, "train")
        self._world = World()

    def share(self, step: int) -> list[Demonstration]:
        """Those of the step; the ranks' shares in turn are the step's, in its order."""
        indices, ranks = step_indices(self._config, step), self._config.runtime.learner_ranks
        first, last = (len(indices) * each // ranks for each in (self._rank, self._rank + 1))
        return self._world.demonstrate(self._source, indices[first:last])

    def close(self) -> None:
        self._world.close()


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
            # However it ends: what a finished run has left, its driver brings to storage.
            last.callback(record.upload, STOPPED_UPLOAD_SECONDS)
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
    rank.load(config, None if newest is None else newest.path / "learner")
    step = 0 if newest is None else newest.step
    budget: Metrics = {} if newest is None else newest.state["budget"]
    stopped = False
    while step < config.algorithm.steps and not stopped:
        began = time.monotonic()
        shown = [one for part in _from_all(demonstrator.share(step)) for one in part]
        demonstrated = time.monotonic()
        metrics = combine(_from_all(rank.update(step, None, shown)))
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
        # Ray Train's own `report` is not called: each call waits seconds for its controller.
        stopped = _from_first(stopped)
        if stopped or step % config.checkpoint.every == 0 or step == config.algorithm.steps:
            _commit(rank, record, step, {"policy_version": 0, "budget": budget})


def _commit(rank: LearnerRank, record: RunRecord | None, step: int, state: JSON) -> None:
    """A checkpoint: all ranks write into the folder that the first one makes."""

    def write(folder: Path) -> None:
        rank.save_model(folder)
        rank.save_state(folder / "learner")

    if record is None:
        write(_from_first(None))
    else:
        record.commit(step, state, lambda folder: write(_from_first(folder)))


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
