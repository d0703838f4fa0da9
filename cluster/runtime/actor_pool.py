"""A pool of actors of one kind: calls go to the least loaded one, lost actors are replaced.

Ray can restart actors itself, but it has no timeout for a call that hangs, and it would retry a
scene that kills every worker forever.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import ray

from cluster.runtime.assignment import ANY, Assignment, Demand, Slot
from cluster.runtime.faults import ACTOR_LOST, classify, last_line, user_error
from physrl.errors import LostCallError, LostError, PhysRLError
from physrl.tracing import Trace
from physrl.types import Metrics

ATTEMPTS = 3
"""Number of actors that a call may lose before it fails."""
START_ATTEMPTS = 3
"""Number of failed starts in a row after which a pool without any other actor fails. A first start
that fails for a reason that would come again fails the pool at once."""
MAX_BACKOFF_S = 30.0
"""Longest pause between two attempts to restart an actor."""
logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False, kw_only=True)
class _Member(Slot):
    """An actor of the pool."""

    handle: ray.actor.ActorHandle
    lost_at: float | None = None
    """Time at which the actor that this one replaces was lost."""
    has_started_before: bool = False
    """True if an earlier actor of this number has started."""
    failed_starts: int = 0
    """Failed starts of this number in a row."""


@dataclass(slots=True)
class PoolStatistics:
    """Counts and times of a pool since its start."""

    restarts: int = 0
    busy_s: float = 0.0
    """Seconds with at least one call in flight, summed over actors."""
    recoveries_s: list[float] = field(default_factory=list)
    """Seconds between the loss of each actor and the start of its replacement."""


class ActorPool:
    """A fixed number of actors, to be created and used in one asyncio event loop.

    Args:
        name: name of an actor in messages and traces.
        make: creates the actor of a number; the actor must have a method `ready`.
        load_each: largest sum of the loads of the calls in flight at one actor (`Demand`).
        timeout_s: duration after which a call is taken to hang, and its actor is killed.
        start_timeout_s: the same for an actor's start.
        trace: receives a span for each call.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[int], ray.actor.ActorHandle],
        count: int,
        *,
        load_each: int,
        timeout_s: float,
        start_timeout_s: float,
        trace: Trace,
    ) -> None:
        self._name, self._make, self._trace = name, make, trace
        self._timeout_s, self._start_timeout_s = timeout_s, start_timeout_s
        self._changed = asyncio.Condition()
        self._starting: set[asyncio.Task[None]] = set()
        self._failure: PhysRLError | None = None
        self._statistics = PoolStatistics()
        self._members = [_Member(number=n, handle=make(n)) for n in range(count)]
        self._assignment = Assignment(self._members, load_each)
        for member in self._members:
            self._start(member)

    async def started(self) -> None:
        """Wait until every actor has started.

        Raises:
            LostError: one could not start.
        """
        async with self._changed:
            await self._changed.wait_for(
                lambda: self._failure or all(member.started for member in self._members)
            )
        self._check()

    async def call(
        self, method: str, *arguments: object, returns: int = 1, demand: Demand = ANY
    ) -> list[Any]:
        """Call a method of the least loaded actor; if the actor is lost, retry on another.

        Args:
            returns: length of the tuple that the method returns. The first item is fetched, which
                shows that the call has finished; the others are returned as references.

        Raises:
            LostCallError: every attempt lost its actor.
            LostError: no actor of the pool can be started any more.
        """
        for attempt in range(1, ATTEMPTS + 1):
            member = await self._assignment.acquire(demand)
            try:
                return await self._call(member, method, arguments, returns)
            except (*ACTOR_LOST, TimeoutError) as error:
                reason = actor_loss(error, self._timeout_s)
                self._replace(member, f"{method}: {reason}")
                if attempt == ATTEMPTS:
                    raise LostCallError(
                        f"{self._name}: {method} failed after {ATTEMPTS} lost actors: {reason}"
                    ) from error
            finally:
                self._assignment.release(member, demand)
        raise AssertionError  # the last attempt returns or raises

    async def broadcast(self, method: str, *arguments: object) -> None:
        """Call a method of every actor that has started; replace the actors that are lost."""

        async def call(member: _Member) -> None:
            try:
                await self._call(member, method, arguments, 1)
            except (*ACTOR_LOST, TimeoutError) as error:
                self._replace(member, f"{method}: {actor_loss(error, self._timeout_s)}")

        await asyncio.gather(*(call(member) for member in self._members if member.started))

    @property
    def statistics(self) -> PoolStatistics:
        """The statistics up to now; `busy_s` includes calls in flight."""
        done = self._statistics
        return replace(done, busy_s=self._assignment.busy_s, recoveries_s=list(done.recoveries_s))

    @property
    def handles(self) -> list[ray.actor.ActorHandle]:
        """The actors in the order of their numbers."""
        return [member.handle for member in self._members]

    def stop(self) -> None:
        """Kill all actors, without waiting for their calls."""
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

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _replace(self, lost: _Member, why: str) -> None:
        """Start a replacement of a lost actor, unless another caller has."""
        if self._members[lost.number] is not lost:
            return
        logger.warning("%s %d is lost (%s): restarting it", self._name, lost.number + 1, why)
        ray.kill(lost.handle)  # it may only hang
        lost_at = lost.lost_at if lost.lost_at and not lost.started else time.monotonic()
        self._statistics.restarts += 1
        started_before = lost.has_started_before or lost.started
        failed = 0 if lost.started else lost.failed_starts
        fresh = _Member(
            number=lost.number,
            handle=self._make(lost.number),
            lost_at=lost_at,
            has_started_before=started_before,
            failed_starts=failed,
        )
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
        except Exception as error:  # any error at all: callers must not wait for this actor forever
            await self._handle_failed_start(member, error)
            return
        async with self._changed:
            member.started = True
            if member.lost_at is not None:
                self._statistics.recoveries_s.append(time.monotonic() - member.lost_at)
            self._changed.notify_all()
        self._assignment.assign()

    async def _handle_failed_start(self, member: _Member, error: Exception) -> None:
        """Retry with exponential backoff, or fail the pool."""
        reason, kind = actor_loss(error, self._start_timeout_s), classify(error)
        async with self._changed:
            member.failed_starts += 1
            others = any(each.started for each in self._members)
            exhausted = member.failed_starts >= START_ATTEMPTS and not others
            retried = member.has_started_before or kind == "transient"
            if exhausted or not retried or kind == "user":
                self._failure = user_error(error) or LostError(
                    f"{self._name} {member.number + 1} did not start: {reason}; fix the cause and "
                    "continue the run with --resume"
                )
                self._changed.notify_all()
                self._assignment.fail(self._failure)
                return
        await asyncio.sleep(min(2.0**member.failed_starts, MAX_BACKOFF_S))
        self._replace(member, f"start: {reason}")


async def start_pool(
    name: str, make: Callable[[int], ray.actor.ActorHandle], count: int, **options: Any
) -> ActorPool:
    """Start an `ActorPool` in the event loop that runs this."""
    return ActorPool(name, make, count, **options)


def actor_loss(error: Exception, timeout_s: float) -> str:
    """Describe the loss of an actor by one line of Ray's message, without its further guesses."""
    if isinstance(error, TimeoutError):
        return f"no response within {timeout_s:g} s"
    return last_line(error).split(". ")[0]


def pool_metrics(
    name: str, before: PoolStatistics, after: PoolStatistics, actor_seconds: float
) -> Metrics:
    """Compute the metrics of an interval from the statistics at its ends.

    Args:
        actor_seconds: number of actors times the duration of the interval.
    """
    recovered = after.recoveries_s[len(before.recoveries_s) :]
    metrics = {
        f"idle/{name}": max(0.0, 1 - (after.busy_s - before.busy_s) / actor_seconds),
        f"faults/{name}_restarts": float(after.restarts - before.restarts),
    }
    return metrics | ({f"faults/{name}_recovery_s": max(recovered)} if recovered else {})
