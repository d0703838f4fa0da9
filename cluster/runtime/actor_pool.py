"""Actors of one kind behind one queue: calls go to the least busy, the dead are replaced.

Ray would restart an actor by itself, but has no deadline for a call that hangs, and gives a scene
that kills every worker no end.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import (
    ActorUnschedulableError,
    OutOfMemoryError,
    RayActorError,
    RuntimeEnvSetupError,
)

from physrl.errors import LostCallError, LostError
from physrl.tracing import Trace
from physrl.types import Metrics

ATTEMPTS = 3
"""A call whose actor dies or hangs is made so often before it is given up."""
STARTS = 3
"""So often a place is filled anew in vain, where no other actor is left; an actor that cannot start
in the first place ends the pool at once."""
LONGEST_PAUSE_S = 30.0
"""Between two tries to fill a place."""
ACTOR_LOST = (RayActorError, OutOfMemoryError, RuntimeEnvSetupError, ActorUnschedulableError)
"""What Ray raises of an actor that is gone or never was."""
logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Member:
    number: int
    handle: ray.actor.ActorHandle
    lost_at: float | None = None
    """When the one was lost whose place it takes."""
    proven: bool = False
    """Whether an actor has started in this place before."""
    failed_starts: int = 0
    """In this place, in a row."""
    started: bool = False
    calls: int = 0
    busy_since: float = 0.0


@dataclass(slots=True)
class PoolStatistics:
    """What became of a pool's actors."""

    restarts: int = 0
    busy_s: float = 0.0
    """Summed over actors: time with at least one call."""
    recoveries_s: list[float] = field(default_factory=list)
    """For each lost actor, how long until another had taken its place."""


class ActorPool:
    """`count` actors; to be made and used in one asyncio event loop.

    Args:
        name: what one of them is called, for people.
        make: starts the one of a number; it must answer `ready()`.
        calls_each: calls that one actor is given at once.
        timeout_s: after so long a call hangs, and its actor is ended.
        start_timeout_s: the same for an actor's start.
        trace: takes a span for each call.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[int], ray.actor.ActorHandle],
        count: int,
        *,
        calls_each: int,
        timeout_s: float,
        start_timeout_s: float,
        trace: Trace,
    ) -> None:
        self._name, self._make, self._trace = name, make, trace
        self._calls_each = calls_each
        self._timeout_s, self._start_timeout_s = timeout_s, start_timeout_s
        self._changed = asyncio.Condition()
        self._starting: set[asyncio.Task[None]] = set()
        self._failure: LostError | None = None
        self._statistics = PoolStatistics()
        self._members = [_Member(number, make(number)) for number in range(count)]
        for member in self._members:
            self._start(member)

    async def started(self) -> None:
        """Wait until every actor has started.

        Raises:
            LostError: one cannot.
        """
        async with self._changed:
            await self._changed.wait_for(
                lambda: self._failure or all(member.started for member in self._members)
            )
        self._check()

    async def call(self, method: str, *arguments: object, returns: int = 1) -> list[Any]:
        """Call a method of the least busy actor; again on another where the actor is lost.

        Args:
            returns: as many results as the method's tuple has. The first is fetched, and says by
                being there that the call is done; of the others references are returned.

        Raises:
            LostCallError: as many actors were lost as a call is attempted.
            LostError: the pool has no actors any more, and gets none.
        """
        for attempt in range(1, ATTEMPTS + 1):
            member = await self._acquire()
            try:
                return await self._call(member, method, arguments, returns)
            except (*ACTOR_LOST, TimeoutError) as error:
                reason = actor_loss(error, self._timeout_s)
                self._replace(member, f"{method}: {reason}")
                if attempt == ATTEMPTS:
                    raise LostCallError(
                        f"{self._name}: {method} was given up after {ATTEMPTS} lost actors: "
                        f"{reason}"
                    ) from error
            finally:
                await self._release(member)
        raise AssertionError  # the last attempt returns or raises

    async def broadcast(self, method: str, *arguments: object) -> None:
        """Call a method of every actor that has started; those that die of it are replaced."""

        async def one(member: _Member) -> None:
            try:
                await self._call(member, method, arguments, 1)
            except (*ACTOR_LOST, TimeoutError) as error:
                self._replace(member, f"{method}: {actor_loss(error, self._timeout_s)}")

        await asyncio.gather(*(one(member) for member in self._members if member.started))

    @property
    def statistics(self) -> PoolStatistics:
        """What happened so far; its `busy_s` includes calls under way."""
        now = time.monotonic()
        under_way = sum(now - member.busy_since for member in self._members if member.calls)
        done = self._statistics
        return PoolStatistics(done.restarts, done.busy_s + under_way, list(done.recoveries_s))

    @property
    def handles(self) -> list[ray.actor.ActorHandle]:
        """The actors, by their numbers."""
        return [member.handle for member in self._members]

    def stop(self) -> None:
        """End all actors, whatever they are doing."""
        for member in self._members:
            ray.kill(member.handle)

    async def _call(
        self, member: _Member, method: str, arguments: tuple[object, ...], returns: int
    ) -> list[Any]:
        remote = getattr(member.handle, method).options(num_returns=returns)
        references = remote.remote(*arguments)
        first, *others = [references] if returns == 1 else references
        future = asyncio.wrap_future(first.future())
        with self._trace.span(method, f"{self._name} {member.number + 1}"):
            return [await asyncio.wait_for(future, self._timeout_s), *others]

    async def _acquire(self) -> _Member:
        async with self._changed:
            await self._changed.wait_for(lambda: self._failure or self._free())
            self._check()
            member = min(self._free(), key=lambda each: each.calls)
            if not member.calls:
                member.busy_since = time.monotonic()
            member.calls += 1
            return member

    async def _release(self, member: _Member) -> None:
        async with self._changed:
            member.calls -= 1
            if not member.calls:
                self._statistics.busy_s += time.monotonic() - member.busy_since
            self._changed.notify_all()

    def _free(self) -> list[_Member]:
        return [m for m in self._members if m.started and m.calls < self._calls_each]

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _replace(self, lost: _Member, why: str) -> None:
        """Start another actor in the place of one, unless another caller has."""
        if self._members[lost.number] is not lost:
            return
        logger.warning("%s %d is lost (%s): another starts", self._name, lost.number + 1, why)
        ray.kill(lost.handle)  # of one that hangs
        lost_at = lost.lost_at if lost.lost_at and not lost.started else time.monotonic()
        self._statistics.restarts += 1
        proven = lost.proven or lost.started
        failed = 0 if lost.started else lost.failed_starts
        fresh = _Member(lost.number, self._make(lost.number), lost_at, proven, failed)
        self._members[lost.number] = fresh
        self._start(fresh)

    def _start(self, member: _Member) -> None:
        task = asyncio.get_running_loop().create_task(self._wait_for_start(member))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _wait_for_start(self, member: _Member) -> None:
        ready = asyncio.wrap_future(member.handle.ready.remote().future())
        try:
            await asyncio.wait_for(ready, self._start_timeout_s)
        except Exception as error:  # whatever it is, nobody may wait for this actor for ever
            await self._note_failed_start(member, actor_loss(error, self._start_timeout_s))
            return
        async with self._changed:
            member.started = True
            if member.lost_at is not None:
                self._statistics.recoveries_s.append(time.monotonic() - member.lost_at)
            self._changed.notify_all()

    async def _note_failed_start(self, member: _Member, reason: str) -> None:
        async with self._changed:
            member.failed_starts += 1
            others = any(each.started for each in self._members)
            if not member.proven or (member.failed_starts >= STARTS and not others):
                self._failure = LostError(
                    f"{self._name} {member.number + 1} did not start: {reason}; mend that, and "
                    "continue a run with --resume"
                )
                self._changed.notify_all()
                return
        await asyncio.sleep(min(2.0**member.failed_starts, LONGEST_PAUSE_S))
        self._replace(member, f"start: {reason}")


async def start_pool(
    name: str, make: Callable[[int], ray.actor.ActorHandle], count: int, **options: Any
) -> ActorPool:
    """Start an `ActorPool` in the event loop that runs this."""
    return ActorPool(name, make, count, **options)


def actor_loss(error: Exception, timeout_s: float) -> str:
    """Why an actor is lost, without Ray's guesses at what else it may have been."""
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    return str(error).strip().splitlines()[-1].strip().split(". ")[0]


def pool_metrics(name: str, before: PoolStatistics, after: PoolStatistics, slots: float) -> Metrics:
    """What happened between two moments.

    Args:
        slots: actors times seconds between the moments.
    """
    recovered = after.recoveries_s[len(before.recoveries_s) :]
    metrics = {
        f"idle/{name}": max(0.0, 1 - (after.busy_s - before.busy_s) / slots),
        f"faults/{name}_restarts": float(after.restarts - before.restarts),
    }
    return metrics | ({f"faults/{name}_recovery_s": max(recovered)} if recovered else {})
