"""Assignment of calls to the actors of a pool, by load.

A call goes to the least loaded actor with room, or waits for one. Calls of a group, such as those
with the weights of one policy, all go to one actor as long as any of them is in flight or waits.
"""

import asyncio
import itertools
import time
from collections import defaultdict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar


@dataclass(frozen=True, slots=True)
class Demand:
    """The demand of a call on the actor that computes it."""

    load: int = 1
    """Part of an actor's largest load that the call takes; an idle actor accepts any."""
    group: Hashable | None = None
    """Group whose calls share an actor; None: the call may go to any."""


ANY = Demand()


@dataclass(slots=True, eq=False)
class Slot:
    """The state of an actor that calls are assigned to; its replacement gets the same number."""

    number: int
    started: bool = False
    calls: int = 0
    """Calls in flight."""
    load: int = 0
    """Sum of the loads of the calls in flight."""
    latest: int = 0
    """Number of the latest call that was assigned to it."""
    busy_since: float = 0.0


SlotT = TypeVar("SlotT", bound=Slot)


@dataclass(slots=True, eq=False)
class _Home:
    """The actor of a group's calls."""

    number: int
    calls: int = 0
    """Calls in flight or waiting."""


class Assignment(Generic[SlotT]):
    """Assigns calls to slots, in one asyncio event loop; callers come in order of arrival.

    Args:
        slots: the actors, which the owner replaces in place and starts.
        load_each: largest sum of the loads of the calls in flight at one actor.
    """

    def __init__(self, slots: Sequence[SlotT], load_each: int) -> None:
        self._slots, self._load_each = slots, load_each
        self._numbers = itertools.count(1)
        self._homes: dict[Hashable, _Home] = {}
        self._waiting: dict[int | None, deque[tuple[Demand, asyncio.Future[SlotT]]]] = defaultdict(
            deque
        )
        """Calls that wait, by the number of their group's actor; None for any."""
        self._failure: Exception | None = None
        self._busy_s = 0.0

    @property
    def busy_s(self) -> float:
        """Seconds with at least one call in flight, summed over actors."""
        now = time.monotonic()
        return self._busy_s + sum(now - slot.busy_since for slot in self._slots if slot.calls)

    async def acquire(self, demand: Demand) -> SlotT:
        """Wait for the slot of a call.

        Raises:
            Exception: that of `fail`.
        """
        home = self._enter(demand.group)
        assigned: asyncio.Future[SlotT] = asyncio.get_running_loop().create_future()
        self._waiting[home].append((demand, assigned))
        self._assign(home)
        try:
            return await assigned
        except asyncio.CancelledError:
            if assigned.cancelled():  # it was waiting
                self._leave(demand.group)
            elif assigned.exception() is None:
                self.release(assigned.result(), demand)
            raise

    def release(self, slot: SlotT, demand: Demand) -> None:
        """End a call, and assign others to its slot."""
        slot.calls -= 1
        slot.load -= demand.load
        if not slot.calls:
            self._busy_s += time.monotonic() - slot.busy_since
        self._leave(demand.group)
        self._assign(slot.number)
        self._assign(None)

    def assign(self) -> None:
        """Assign all calls that wait, after a slot has started."""
        for home in list(self._waiting):
            self._assign(home)

    def fail(self, failure: Exception) -> None:
        """Raise an error in all calls that wait, and in those that come."""
        self._failure = failure
        self.assign()

    def _enter(self, group: Hashable | None) -> int | None:
        """Count a call of a group, and return the number of its actor."""
        if group is None:
            return None
        if group not in self._homes:
            queued = {
                slot.number: sum(demand.load for demand, _ in self._waiting[slot.number])
                for slot in self._slots
            }
            slot = min(self._slots, key=lambda slot: (slot.load + queued[slot.number], slot.latest))
            self._homes[group] = _Home(slot.number)
        home = self._homes[group]
        home.calls += 1
        return home.number

    def _leave(self, group: Hashable | None) -> None:
        if group is not None:
            home = self._homes[group]
            home.calls -= 1
            if not home.calls:
                del self._homes[group]

    def _assign(self, home: int | None) -> None:
        """Assign the calls that wait for an actor, or for any, as far as there is room."""
        waiting = self._waiting[home]
        while waiting:
            demand, assigned = waiting[0]
            if self._failure is not None and not assigned.done():
                assigned.set_exception(self._failure)
                self._leave(demand.group)
            elif not assigned.done():  # else its caller was cancelled
                slot = self._choose(home, demand.load)
                if slot is None:
                    return
                if not slot.calls:
                    slot.busy_since = time.monotonic()
                slot.calls += 1
                slot.load += demand.load
                slot.latest = next(self._numbers)
                assigned.set_result(slot)
            waiting.popleft()

    def _choose(self, home: int | None, load: int) -> SlotT | None:
        """Choose the least loaded actor with room, or None.

        Of equally loaded ones, that whose calls are the oldest is chosen, since they end first.
        """
        slots = self._slots if home is None else [self._slots[home]]
        room = [
            slot
            for slot in slots
            if slot.started and (not slot.calls or slot.load + load <= self._load_each)
        ]
        return min(room, key=lambda slot: (slot.load, slot.latest), default=None)
