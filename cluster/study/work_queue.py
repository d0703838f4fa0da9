"""Calls for a few actors, each of which does one at a time; what fails is tried again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import ray
from ray.exceptions import RayError

ATTEMPTS = 3
"""So often is a call made before it is given up."""


@dataclass(frozen=True, slots=True)
class Work:
    """One call of an actor's method."""

    key: str
    """Of what it computes."""
    name: str
    """For people."""
    method: str
    arguments: tuple[object, ...]
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """A call that is done, or given up for a reason of one line."""

    work: Work
    failure: str | None = None


def run_all(
    actors: Sequence[ray.actor.ActorHandle], works: Sequence[Work]
) -> Iterator[Work | Finished]:
    """Make all calls, in their order; gives each before it begins and when it is done.

    The actors must come back when they die, and their methods may be called twice for one work.
    """
    waiting, free = list(reversed(works)), list(actors)
    running: dict[ray.ObjectRef, tuple[Work, ray.actor.ActorHandle]] = {}
    while waiting or running:
        while waiting and free:
            work, actor = waiting.pop(), free.pop()
            yield work
            running[getattr(actor, work.method).remote(*work.arguments)] = (work, actor)
        (done,), _ = ray.wait(list(running), num_returns=1)
        work, actor = running.pop(done)
        free.append(actor)
        try:
            ray.get(done)
        except RayError as error:
            tried = replace(work, tries=work.tries + 1)
            if tried.tries < ATTEMPTS:
                waiting.insert(0, tried)
            else:
                yield Finished(tried, one_line(error))
        else:
            yield Finished(replace(work, tries=work.tries + 1))


def one_line(error: BaseException) -> str:
    """What an actor's error says, without the remote traceback."""
    cause = getattr(error, "cause", None) or error
    last = (str(cause).strip() or type(cause).__name__).splitlines()[-1].strip()
    return f"{type(cause).__name__}: {last}"
