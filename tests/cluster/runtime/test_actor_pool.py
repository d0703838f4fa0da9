"""Pools of small real actors that die during calls or cannot start."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray

from cluster.runtime.actor_pool import ActorPool
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
        "worker", make, count, calls_each=1, timeout_s=60, start_timeout_s=60, trace=Trace()
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
