"""Results of a study that Ray tasks compute, and the events of their computation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from cluster.runtime.placement import WORKER_CPUS
from cluster.runtime.session import actor_environment
from cluster.runtime.tasks import run_tasks

ATTEMPTS = 3
"""Number of attempts at a result."""


@dataclass(frozen=True, slots=True)
class Started:
    """The computation of a result has started."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A result is in the store, or its computation has failed."""

    key: str
    name: str
    failure: str | None = None
    """Reason of a failure, in one line."""


@dataclass(frozen=True, slots=True)
class ResultTask:
    """The arguments of a Ray task that computes and stores one result."""

    key: str
    name: str
    arguments: tuple[object, ...]


def compute_results(
    function: Any, tasks: Sequence[ResultTask], at_once: int, gpus: float = 0
) -> Iterator[Started | Finished]:
    """Compute results by Ray tasks; since these are retried, the function must be idempotent."""
    remote = ray.remote(function).options(
        num_cpus=WORKER_CPUS,
        num_gpus=gpus,
        max_retries=ATTEMPTS - 1,
        retry_exceptions=True,
        runtime_env={"env_vars": actor_environment(threads=1)},
    )
    for index, done in run_tasks(remote, [task.arguments for task in tasks], at_once):
        task = tasks[index]
        if done is None:
            yield Started(task.key, task.name)
            continue
        try:
            ray.get(done)
        except RayError as error:
            yield Finished(task.key, task.name, error_summary(error))
        else:
            yield Finished(task.key, task.name)


def error_summary(error: BaseException) -> str:
    """Describe an error in one line, without the remote traceback."""
    cause = getattr(error, "cause", None) or error
    last = (str(cause).strip() or type(cause).__name__).splitlines()[-1].strip()
    return f"{type(cause).__name__}: {last}"
