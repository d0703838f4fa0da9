"""Pools of small real actors that die during calls or cannot start."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray

from cluster.runtime.actor_pool import ActorPool
from cluster.runtime.assignment import Demand
from physrl.errors import GenerationError, LostCallError, LostError
from physrl.tracing import Trace


class Frail:
    """An actor that dies as files in a folder tell it to."""

    def __init__(self, orders: Path, number: int) -> None:
        if (orders / f"no-start-{number}").exists():
            raise RuntimeError("no weights here")
        self.orders, self.number = orders, number

    def ready(self) -> None: ...

    def work(self, value: int) -> tuple[int, int]:
        once = self.orders / "die-once"
        if once.exists():
            once.unlink()
            os._exit(1)
        if value < 0 or (self.orders / f"die-{self.number}").exists():
            os._exit(1)
        if value == 13:
            raise GenerationError("thirteen")
        return value + 1, self.number


async def make_pool(orders: Path, count: int) -> ActorPool:
    def make(number: int) -> Any:
        return ray.remote(Frail).options(num_cpus=0).remote(orders, number)

    return ActorPool(
        "worker", make, count, load_each=1, timeout_s=60, start_timeout_s=60, trace=Trace()
    )


def run(orders: Path, count: int, test: Callable[[ActorPool], Any]) -> None:
    async def inside() -> None:
        pool = await make_pool(orders, count)
        try:
            await test(pool)
        finally:
            pool.stop()

    asyncio.run(inside())


def test_a_call_is_made_again_where_its_actor_died(ray_cluster: None, tmp_path: Path) -> None:
    (tmp_path / "die-once").touch()

    async def test(pool: ActorPool) -> None:
        first, second = await pool.call("work", 1, returns=2)
        assert (first, await second) == (2, 0)
        await pool.started()
        assert pool.statistics.restarts == len(pool.statistics.recoveries_s) == 1
        with pytest.raises(GenerationError, match="thirteen"):  # the call's own error
            await pool.call("work", 13, returns=2)
        with pytest.raises(LostCallError, match="worker: work"):
            await pool.call("work", -1, returns=2)
        assert (await pool.call("work", 5, returns=2))[0] == 6

    run(tmp_path, 1, test)


def test_an_actor_that_never_starts_is_named(ray_cluster: None, tmp_path: Path) -> None:
    (tmp_path / "no-start-1").touch()

    async def test(pool: ActorPool) -> None:
        with pytest.raises(LostError, match=r"worker 2 .*no weights here"):
            await pool.started()

    run(tmp_path, 2, test)


def test_others_work_on_where_one_does_not_come_back(ray_cluster: None, tmp_path: Path) -> None:
    async def test(pool: ActorPool) -> None:
        await pool.started()
        (tmp_path / "no-start-0").touch()
        (tmp_path / "die-0").touch()
        await asyncio.gather(*(pool.call("work", value, returns=2) for value in range(8)))
        while pool.statistics.restarts < 3:
            await asyncio.sleep(0.1)
        for value in range(8):
            first, number = await pool.call("work", value, returns=2)
            assert (first, await number) == (value + 1, 1)

    run(tmp_path, 2, test)


def test_the_last_actor_that_does_not_come_back_ends_the_pool(
    ray_cluster: None, tmp_path: Path
) -> None:
    async def test(pool: ActorPool) -> None:
        await pool.started()
        (tmp_path / "no-start-0").touch()
        (tmp_path / "die-once").touch()
        with pytest.raises(LostError, match="no weights here"):
            await pool.call("work", 1, returns=2)

    run(tmp_path, 1, test)


class Slow:
    """An actor whose calls end when the test says so, and that says which one it is."""

    def __init__(self, number: int) -> None:
        self.number = number

    def ready(self) -> None: ...

    def work(self, orders: Path) -> int:
        while not orders.exists():
            time.sleep(0.01)
        return self.number


def test_calls_go_to_the_least_loaded_actor_that_has_room(
    ray_cluster: None, tmp_path: Path
) -> None:
    def make(number: int) -> Any:
        return ray.remote(Slow).options(num_cpus=0, max_concurrency=8).remote(number)

    async def inside() -> None:
        pool = ActorPool(
            "server", make, 2, load_each=8, timeout_s=60, start_timeout_s=60, trace=Trace()
        )
        await pool.started()
        calls: dict[str, asyncio.Task[list[Any]]] = {}

        async def begin(name: str, demand: Demand) -> None:
            calls[name] = asyncio.ensure_future(pool.call("work", tmp_path / name, demand=demand))
            await asyncio.sleep(0)

        async def end(name: str) -> int:
            (tmp_path / name).touch()
            (number,) = await calls[name]
            return int(number)

        for name, load in {"a": 5, "b": 2, "c": 2, "big": 20, "last": 1}.items():
            await begin(name, Demand(load))
        # a on the first; b and c, which are smaller together, on the second; the load of 20 fits
        # only an idle actor, and holds back what comes after it.
        assert (await end("b"), await end("a")) == (1, 0)
        assert await end("big") == 0
        assert (await end("c"), await end("last")) == (1, 1)
        cancelled = asyncio.ensure_future(pool.call("work", tmp_path / "never"))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        await begin("after", Demand(8))
        assert await end("after") in (0, 1)
        pool.stop()

    asyncio.run(inside())
