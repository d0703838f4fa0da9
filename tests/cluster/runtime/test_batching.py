"""Dynamic batching on a fake pool: which items share a call, and how failures reach them."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from cluster.runtime.assignment import ANY, Demand
from cluster.runtime.batching import MOST_ITEMS, BatchedCalls, Item, Result, unpack
from physrl.config.runtime import RuntimeConfig
from physrl.errors import GenerationError, LostCallError, LostError, SimulationError


class FakePool:
    """A stand-in for `ActorPool` that fails every call with a value of `bad`."""

    def __init__(self, bad: Collection[int] = (), error: type[Exception] = LostCallError) -> None:
        self._bad, self._error = bad, error
        self.calls: list[list[int]] = []
        """Values of the items of each call."""
        self.demands: list[Demand] = []

    async def call(
        self, method: str, layout: Any, *objects: Any, returns: int, demand: Demand
    ) -> list[Any]:
        self.demands.append(demand)
        items = unpack(layout, objects)
        values = [value for value, _ in items]
        self.calls.append(values)
        await asyncio.sleep(0)
        if any(value in self._bad for value in values):
            raise self._error(f"{method} of {values}")
        assert returns == 1 + len(items)
        return [[10 * value for value in values], *(f"{method} {own}" for _, own in items)]


FIXED = RuntimeConfig(inference_servers=2)
CONTINUOUS = RuntimeConfig(inference_servers=2, batching="continuous")


def call_all(
    pool: FakePool,
    runtime: RuntimeConfig,
    keyed: list[tuple[Any, int]],
    references: tuple[Any, ...] = (),
    demand: Demand = ANY,
) -> list[Any]:
    """Submit items with their keys at once, and return results and errors."""

    async def run() -> list[Any]:
        calls = BatchedCalls(pool, runtime)  # type: ignore[arg-type]
        return await asyncio.gather(
            *(calls.call(key, "act", (), Item(value, references), demand) for key, value in keyed),
            return_exceptions=True,
        )

    return asyncio.run(run())


def test_items_of_equal_keys_share_calls_up_to_the_most() -> None:
    pool = FakePool()
    keyed = [("a", number) for number in range(MOST_ITEMS + 1)]
    results = call_all(pool, FIXED, [*keyed, ("b", 100)])
    assert sorted(pool.calls) == [list(range(MOST_ITEMS)), [MOST_ITEMS], [100]]
    assert [result.value for result in results] == [10 * value for _, value in [*keyed, ("b", 100)]]
    batches = [result.batch for result in results]
    assert len(set(batches[:MOST_ITEMS])) == 1
    assert len(set(batches)) == 3


@pytest.mark.parametrize(
    ("count", "lengths"), [(1, [1]), (4, [1] * 4), (10, [1, 3, 3, 3]), (70, [6, *[16] * 4])]
)
def test_items_without_a_key_are_divided_evenly_among_the_servers(
    count: int, lengths: list[int]
) -> None:
    pool = FakePool()
    call_all(pool, FIXED, [(None, number) for number in range(count)])
    assert sorted(len(call) for call in pool.calls) == lengths
    assert sorted(value for call in pool.calls for value in call) == list(range(count))


def test_each_item_is_a_call_of_its_own_with_continuous_batching() -> None:
    pool = FakePool()
    call_all(pool, CONTINUOUS, [("a", 1), ("a", 2), (None, 3)], demand=Demand(4))
    assert sorted(pool.calls) == [[1], [2], [3]]
    assert pool.demands == [Demand(4)] * 3


def test_items_of_one_batch_stay_together_in_the_next_call() -> None:
    async def run() -> list[list[int]]:
        pool = FakePool()
        calls = BatchedCalls(pool, FIXED)  # type: ignore[arg-type]

        async def call_twice(value: int) -> None:
            first: Result = await calls.call(None, "prepare", (), Item(value))
            await asyncio.sleep(0)
            await calls.call(first.batch, "act", (), Item(value))

        await asyncio.gather(*(call_twice(value) for value in range(8)))
        return pool.calls

    pairs = [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert sorted(asyncio.run(run())) == sorted(pairs * 2)


def test_shared_references_are_sent_once() -> None:
    pool = FakePool()
    references = ("state", "state", "generation")
    results = call_all(pool, FIXED, [("a", 1), ("a", 2)], references)
    expected = "act ['state', 'state', 'generation']"
    assert [result.reference for result in results] == [expected, expected]


@pytest.mark.parametrize("error", [LostCallError, SimulationError])
def test_a_lost_batch_is_retried_item_by_item(error: type[Exception]) -> None:
    pool = FakePool(bad=[2], error=error)
    first, second, third = call_all(pool, FIXED, [("a", 1), ("a", 2), ("a", 3)])
    assert pool.calls == [[1, 2, 3], [1], [2], [3]]
    assert (first.value, third.value) == (10, 30)
    assert isinstance(second, error)


@pytest.mark.parametrize("error", [GenerationError, LostError])
def test_other_errors_reach_every_item_of_the_batch_alone(error: type[Exception]) -> None:
    pool = FakePool(bad=[2], error=error)
    first, second, other = call_all(pool, FIXED, [("a", 1), ("a", 2), ("b", 3)])
    assert sorted(pool.calls) == [[1, 2], [3]]
    assert isinstance(first, error)
    assert isinstance(second, error)
    assert other.value == 30
