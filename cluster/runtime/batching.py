"""Dynamic batching: callers await single items, which are sent to a pool's actors in batches."""

import asyncio
import logging
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import ray

from cluster.runtime.actor_pool import ActorPool
from cluster.runtime.assignment import ANY, Demand
from physrl.config.runtime import RuntimeConfig
from physrl.errors import LostCallError, SimulationError

MOST_ITEMS = 16
"""Largest number of items in a call of `fixed` batching."""
CALLS_EACH = 2
"""Number of calls that `fixed` batching makes for each server, if there are few items: while the
completions of one are simulated, those of the other are generated."""

Layout = list[tuple[Any, tuple[int, ...]]]
"""The value of each item of a call, and the positions of its objects among those of the call."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a batched call: a small value, and references that Ray resolves for the actor."""

    value: Any = None
    references: tuple[ray.ObjectRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one item."""

    value: Any
    """A small value that has been fetched."""
    reference: ray.ObjectRef
    """Reference of the object that belongs to it."""
    batch: int
    """Number of the call that computed it."""


@dataclass(frozen=True, slots=True)
class _Call:
    """The properties that all items of a batch share."""

    key: Hashable
    method: str
    arguments: tuple[object, ...]
    demand: Demand


@dataclass(frozen=True, slots=True)
class _Waiting:
    item: Item
    result: "asyncio.Future[Result]"


class BatchedCalls:
    """Batches the items that are submitted in one iteration of the event loop.

    With `fixed` batching, only items of equal keys share a call, such as the results of one earlier
    call. They stay together independently of timing, so that a resumed run batches, and therefore
    samples, like an uninterrupted one. Items without a key, which begin, are divided evenly among
    the servers. The items of a batch that fails in every attempt are retried one by one.

    With `continuous` batching, each item is a call of its own.
    """

    def __init__(self, pool: ActorPool, runtime: RuntimeConfig) -> None:
        fixed = runtime.batching == "fixed"
        self._pool = pool
        self._most = MOST_ITEMS if fixed else 1
        self._parts = CALLS_EACH * runtime.inference_servers
        self._waiting: dict[_Call, list[_Waiting]] = {}
        self._numbers = count()
        self._sending: set[asyncio.Task[None]] = set()

    async def call(
        self,
        key: Hashable | None,
        method: str,
        arguments: tuple[object, ...],
        item: Item,
        demand: Demand = ANY,
    ) -> Result:
        """Call `method(*arguments, layout, *objects)` of an actor for a batch with this item.

        The method reads the batch with `unpack`; it returns a list of values, then one object for
        each item.

        Args:
            demand: demand of the call on its actor.

        Raises:
            LostCallError: every attempt at this item alone lost its actor.
            LostError: no actor of the pool can be started any more.
        """
        loop = asyncio.get_running_loop()
        call, waiting = _Call(key, method, arguments, demand), _Waiting(item, loop.create_future())
        if call not in self._waiting:
            self._waiting[call] = []
            loop.call_soon(self._flush, call)
        self._waiting[call].append(waiting)
        return await waiting.result

    def _flush(self, call: _Call) -> None:
        waiting = self._waiting.pop(call)
        size = self._most
        if call.key is None:
            size = min(size, math.ceil(len(waiting) / self._parts))
        for first in range(0, len(waiting), size):
            self._start(call, waiting[first : first + size])

    def _start(self, call: _Call, batch: Sequence[_Waiting]) -> None:
        task = asyncio.get_running_loop().create_task(self._send(call, batch))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, call: _Call, batch: Sequence[_Waiting]) -> None:
        number = next(self._numbers)
        layout, references = _pack([each.item for each in batch])
        try:
            values, *rest = await self._pool.call(
                call.method,
                *call.arguments,
                layout,
                *references,
                returns=1 + len(batch),
                demand=call.demand,
            )
        except (LostCallError, SimulationError) as error:
            if len(batch) > 1:
                logger.warning("%s: retrying its %d items one by one", error, len(batch))
                for each in batch:
                    self._start(call, [each])
                return
            _fail(batch, error)
        except Exception as error:
            _fail(batch, error)
        else:
            for each, value, reference in zip(batch, values, rest, strict=True):
                if not each.result.done():  # else the caller was cancelled
                    each.result.set_result(Result(value, reference, number))


def unpack(layout: Layout, objects: Sequence[Any]) -> list[tuple[Any, list[Any]]]:
    """Return the value and the objects of each item; the actor's counterpart of `BatchedCalls`."""
    return [(value, [objects[place] for place in places]) for value, places in layout]


def _pack(items: Sequence[Item]) -> tuple[Layout, list[ray.ObjectRef]]:
    """List every reference once, since an actor deserializes each of its arguments separately."""
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
