"""Calls about single items, which travel to a pool's actors in batches."""

import asyncio
import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import ray

from cluster.runtime.actor_pool import ActorPool
from physrl.errors import LostCallError, SimulationError

Layout = list[tuple[Any, tuple[int, ...]]]
"""For each item of a call its value, and the places of its objects among those of the call."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a call: a small value, and references that Ray resolves for the actor."""

    value: Any = None
    references: tuple[ray.ObjectRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one item."""

    value: Any
    """Fetched; it says by being there that the rest is, too."""
    reference: ray.ObjectRef
    """The rest, in the object store."""
    batch: int
    """Number of the call that made it."""


@dataclass(frozen=True, slots=True)
class _Call:
    """The calls that share one batch."""

    key: Hashable
    method: str
    arguments: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Waiting:
    item: Item
    result: "asyncio.Future[Result]"


class BatchedCalls:
    """Batches the items that are awaited in one turn of the event loop.

    A key says which items may share a call, such as those that came out of one call before. They
    stay together whatever the timing, so that a resumed run batches, and samples, as an
    uninterrupted one. A batch that is lost for good is tried again item by item.

    Args:
        size: items of one call at most.
    """

    def __init__(self, pool: ActorPool, size: int) -> None:
        self._pool, self._size = pool, size
        self._waiting: dict[_Call, list[_Waiting]] = {}
        self._numbers = count()
        self._sending: set[asyncio.Task[None]] = set()

    async def call(
        self, key: Hashable, method: str, arguments: tuple[object, ...], item: Item
    ) -> Result:
        """Call `method(*arguments, layout, *objects)` of an actor for an item and others.

        The method returns a list of values, then one object an item: see `unpack`.

        Raises:
            LostCallError: as many actors were lost over this item as a call is tried.
            LostError: the pool has no actors any more.
        """
        loop = asyncio.get_running_loop()
        call, waiting = _Call(key, method, arguments), _Waiting(item, loop.create_future())
        if call not in self._waiting:
            self._waiting[call] = []
            loop.call_soon(self._flush, call)
        self._waiting[call].append(waiting)
        return await waiting.result

    def _flush(self, call: _Call) -> None:
        waiting = self._waiting.pop(call)
        for first in range(0, len(waiting), self._size):
            self._start(call, waiting[first : first + self._size])

    def _start(self, call: _Call, batch: Sequence[_Waiting]) -> None:
        task = asyncio.get_running_loop().create_task(self._send(call, batch))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, call: _Call, batch: Sequence[_Waiting]) -> None:
        number = next(self._numbers)
        layout, references = _pack([each.item for each in batch])
        try:
            values, *rest = await self._pool.call(
                call.method, *call.arguments, layout, *references, returns=1 + len(batch)
            )
        except (LostCallError, SimulationError) as error:
            if len(batch) > 1:
                logger.warning("%s: %d items are retried one by one", error, len(batch))
                for each in batch:
                    self._start(call, [each])
                return
            _fail(batch, error)
        except Exception as error:
            _fail(batch, error)
        else:
            for each, value, reference in zip(batch, values, rest, strict=True):
                if not each.result.done():  # nobody waits for it any more
                    each.result.set_result(Result(value, reference, number))


def unpack(layout: Layout, objects: Sequence[Any]) -> list[tuple[Any, list[Any]]]:
    """Return each item's value and objects, on the actor's side."""
    return [(value, [objects[place] for place in places]) for value, places in layout]


def _pack(items: Sequence[Item]) -> tuple[Layout, list[ray.ObjectRef]]:
    """List every reference once: an actor reads each of its arguments anew."""
    places: dict[ray.ObjectRef, int] = {}
    layout = [
        (item.value, tuple(places.setdefault(one, len(places)) for one in item.references))
        for item in items
    ]
    return layout, list(places)


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for each in batch:
        if not each.result.done():
            each.result.set_exception(error)
