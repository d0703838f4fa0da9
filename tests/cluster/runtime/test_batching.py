"""Dynamic batching on a fake pool: which items share a call, and how failures reach them."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from cluster.runtime.batching import BatchedCalls, Item, Result, unpack
from physrl.errors import GenerationError, LostCallError, LostError, SimulationError


class FakePool:
    """A stand-in for `ActorPool` that fails every call with a value of `bad`."""

    def __init__(self, bad: Collection[int] = (), error: type[Exception] = LostCallError) -> None:
        self._bad, self._error = bad, error
        self.calls: list[list[int]] = []
        """Values of the items of each call."""

    async def call(self, method: str, layout: Any, *objects: Any, returns: int) -> list[Any]:
        items = unpack(layout, objects)
        values = [value for value, _ in items]
        self.calls.append(values)
        await asyncio.sleep(0)
        if any(value in self._bad for value in values):
            raise self._error(f"{method} of {values}")
        assert returns == 1 + len(items)
        return [[10 * value for value in values], *(f"{method} {own}" for _, own in items)]


def call_all(
    pool: FakePool, size: int, keyed: list[tuple[Any, int]], references: tuple[Any, ...] = ()
) -> list[Any]:
    """Submit items with their keys at once, and return results and errors."""

    async def run() -> list[Any]:
        calls = BatchedCalls(pool, size)  # type: ignore[arg-type]
        return await asyncio.gather(
            *(calls.call(key, "act", (), Item(value, references)) for key, value in keyed),
            return_exceptions=True,
        )

    return asyncio.run(run())


def test_items_of_equal_keys_share_calls_up_to_the_size() -> None:
    pool = FakePool()
    results = call_all(pool, 2, [("a", 1), ("b", 2), ("a", 3), ("a", 4)])
    assert sorted(pool.calls) == [[1, 3], [2], [4]]
    assert [result.value for result in results] == [10, 20, 30, 40]
    batches = [result.batch for result in results]
    assert batches[0] == batches[2]
    assert len(set(batches)) == 3


def test_items_of_one_batch_stay_together_in_the_next_call() -> None:
    async def run() -> list[list[int]]:
        pool = FakePool()
        calls = BatchedCalls(pool, 2)  # type: ignore[arg-type]

        async def call_twice(value: int) -> None:
            first: Result = await calls.call(None, "prepare", (), Item(value))
            await asyncio.sleep(0)
            await calls.call(first.batch, "act", (), Item(value))

        await asyncio.gather(*(call_twice(value) for value in range(4)))
        return pool.calls

    assert sorted(asyncio.run(run())) == [[0, 1], [0, 1], [2, 3], [2, 3]]


def test_shared_references_are_sent_once() -> None:
    pool = FakePool()
    results = call_all(pool, 2, [("a", 1), ("a", 2)], references=("state", "state", "generation"))
    expected = "act ['state', 'state', 'generation']"
    assert [result.reference for result in results] == [expected, expected]


@pytest.mark.parametrize("error", [LostCallError, SimulationError])
def test_a_lost_batch_is_retried_item_by_item(error: type[Exception]) -> None:
    pool = FakePool(bad=[2], error=error)
    first, second, third = call_all(pool, 3, [("a", 1), ("a", 2), ("a", 3)])
    assert pool.calls == [[1, 2, 3], [1], [2], [3]]
    assert (first.value, third.value) == (10, 30)
    assert isinstance(second, error)


@pytest.mark.parametrize("error", [GenerationError, LostError])
def test_other_errors_reach_every_item_of_the_batch_alone(error: type[Exception]) -> None:
    pool = FakePool(bad=[2], error=error)
    first, second, other = call_all(pool, 3, [("a", 1), ("a", 2), ("b", 3)])
    assert sorted(pool.calls) == [[1, 2], [3]]
    assert isinstance(first, error)
    assert isinstance(second, error)
    assert other.value == 30
