"""Assignment of calls to slots by load and group, without actors."""

import asyncio
import random
from collections.abc import Hashable

import pytest

from cluster.runtime.assignment import Assignment, Demand, Slot
from physrl.errors import LostError


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Calls:
    """Calls by name, which hold their slots until the test ends them."""

    def __init__(self, count: int, load_each: int) -> None:
        self.slots = [Slot(number, started=True) for number in range(count)]
        self.assignment = Assignment(self.slots, load_each)
        self.waiting: dict[str, asyncio.Task[Slot]] = {}
        self.demands: dict[str, Demand] = {}

    async def begin(self, name: str, load: int = 1, group: Hashable | None = None) -> None:
        self.demands[name] = Demand(load, group)
        self.waiting[name] = asyncio.ensure_future(self.assignment.acquire(self.demands[name]))
        await settle()

    async def end(self, name: str) -> None:
        self.assignment.release(self.waiting.pop(name).result(), self.demands[name])
        await settle()

    @property
    def places(self) -> dict[str, int]:
        """Numbers of the slots of calls that have one."""
        return {n: task.result().number for n, task in self.waiting.items() if task.done()}


def test_the_least_loaded_slot_with_room_comes_first() -> None:
    async def run() -> None:
        calls = Calls(2, load_each=8)
        for name, load in {"a": 5, "b": 2, "c": 2, "big": 20, "last": 1}.items():
            await calls.begin(name, load)
        # The load of 20 fits only an idle slot, and holds back what comes after it.
        assert calls.places == {"a": 0, "b": 1, "c": 1}
        await calls.end("a")
        assert calls.places == {"b": 1, "c": 1, "big": 0, "last": 1}

    asyncio.run(run())


def test_of_equally_loaded_slots_that_with_the_oldest_calls_comes_first() -> None:
    async def run() -> None:
        calls = Calls(3, load_each=2)
        for name in "abcd":
            await calls.begin(name)
        assert calls.places == {"a": 0, "b": 1, "c": 2, "d": 0}
        await calls.end("d")
        await calls.begin("e")
        assert calls.places["e"] == 1

    asyncio.run(run())


def test_a_group_shares_a_slot_and_waits_for_it() -> None:
    async def run() -> None:
        calls = Calls(2, load_each=2)
        for name, group in {"a": "x", "b": "y", "c": "x", "d": "x", "e": "z", "f": None}.items():
            await calls.begin(name, group=group)
        # d waits for the slot of x; z's is the other one, since d counts; f waits for any.
        assert calls.places == {"a": 0, "b": 1, "c": 0, "e": 1}
        await calls.end("b")
        assert calls.places["f"] == 1
        await calls.end("a")
        assert calls.places["d"] == 0
        for name in "cdef":
            await calls.end(name)
        await calls.begin("big", load=2, group="w")
        await calls.begin("g", group="x")  # without calls, the group has no slot any more
        assert calls.places["g"] != calls.places["big"]

    asyncio.run(run())


def test_waiting_calls_get_a_slot_that_starts_and_the_error_of_one_that_cannot() -> None:
    async def run() -> None:
        calls = Calls(1, load_each=1)
        calls.slots[0].started = False
        await calls.begin("a", group="x")
        assert calls.places == {}
        calls.slots[0].started = True
        calls.assignment.assign()
        await settle()
        assert calls.places == {"a": 0}
        await calls.begin("b", group="x")
        calls.assignment.fail(LostError("gone"))
        await settle()
        for task in (calls.waiting["b"], asyncio.ensure_future(calls.assignment.acquire(Demand()))):
            with pytest.raises(LostError, match="gone"):
                await task

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(30))
def test_loads_groups_and_order_hold_whatever_ends_or_is_cancelled(seed: int) -> None:
    async def run() -> None:
        draw = random.Random(seed)
        calls = Calls(3, load_each=4)
        for number in range(80):
            group = draw.choice([None, None, "x", "y"])
            await calls.begin(str(number), draw.randint(1, 5), group)
            for name in draw.sample(sorted(calls.waiting), min(len(calls.waiting), 2)):
                if draw.random() < 0.6 and name in calls.places:
                    await calls.end(name)
                elif draw.random() < 0.3 and name not in calls.places:
                    task = calls.waiting.pop(name)
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
            for slot in calls.slots:
                loads = [calls.demands[n].load for n, s in calls.places.items() if s == slot.number]
                assert (slot.calls, slot.load) == (len(loads), sum(loads))
                assert sum(loads) <= 4 or len(loads) == 1
            for shared in ("x", "y"):
                where = {s for n, s in calls.places.items() if calls.demands[n].group == shared}
                assert len(where) <= 1
        while calls.waiting:
            assert calls.places  # something can always end
            await calls.end(next(iter(calls.places)))
        assert all((slot.calls, slot.load) == (0, 0) for slot in calls.slots)
        assert calls.assignment._homes == {}

    asyncio.run(run())
