"""Events of the computation of a study's results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from cluster.runtime.placement import WORKER_CPUS
from cluster.runtime.session import actor_environment
from cluster.runtime.tasks import run_tasks

ATTEMPTS = 3
"""A result whose computation fails so often is given up."""


@dataclass(frozen=True, slots=True)
class Started:
    """The computation of a result begins."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A result is in the store, or was given up."""

    key: str
    name: str
    failure: str | None = None
    """Reason of one line."""


@dataclass(frozen=True, slots=True)
class Work:
    """A result that one Ray task computes and stores."""

    key: str
    name: str
    arguments: tuple[object, ...]


def run_works(
    function: Any, works: Sequence[Work], at_once: int, gpus: float = 0
) -> Iterator[Started | Finished]:
    """Compute results by Ray tasks; the function may be called twice for one result."""
    task = ray.remote(function).options(
        num_cpus=WORKER_CPUS,
        num_gpus=gpus,
        max_retries=ATTEMPTS - 1,
        retry_exceptions=True,
        runtime_env={"env_vars": actor_environment(threads=1)},
    )
    for place, done in run_tasks(task, [work.arguments for work in works], at_once):
        work = works[place]
        if done is None:
            yield Started(work.key, work.name)
            continue
        try:
            ray.get(done)
        except RayError as error:
            yield Finished(work.key, work.name, one_line(error))
        else:
            yield Finished(work.key, work.name)


def one_line(error: BaseException) -> str:
    """Describe an actor's error without the remote traceback."""
    cause = getattr(error, "cause", None) or error
    last = (str(cause).strip() or type(cause).__name__).splitlines()[-1].strip()
    return f"{type(cause).__name__}: {last}"
