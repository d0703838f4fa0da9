"""Admission of prompts to the inference servers: not too early, and not too many at once.

A step's prompts wait until the policy is recent enough. If there is a limit, prompts then wait for
room below it, those of earlier steps first.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count


class SequenceLimit:
    """A limit on the number of sequences that are generated at once, in one event loop.

    Without it, the prompts of several steps start together and end together, and servers wait for
    the longest completions.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._numbers = count()
        self._waiting: list[tuple[int, int, int, asyncio.Future[None]]] = []
        """Heap of steps, order of arrival, sequences, and futures of the prompts that wait."""

    @asynccontextmanager
    async def hold(self, sequences: int, step: int) -> AsyncIterator[None]:
        """Hold the room of so many sequences; earlier steps get it first."""
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (step, next(self._numbers), sequences, admitted))
        self._admit()
        try:
            await admitted
            yield
        finally:
            if admitted.done() and not admitted.cancelled():
                self._free += sequences
            admitted.cancel()
            self._admit()

    def _admit(self) -> None:
        while self._waiting:
            _, _, sequences, admitted = self._waiting[0]
            if not admitted.done():  # else its caller was cancelled
                if sequences > self._free:
                    return
                self._free -= sequences
                admitted.set_result(None)
            heapq.heappop(self._waiting)


@dataclass(frozen=True, slots=True)
class Admission:
    """The admission of one step's prompts."""

    step: int
    limit: SequenceLimit | None
    """Limit that steps share; None for none."""
    gate: "Future[None]" = field(default_factory=Future)
    """Future that is done once the policy is recent enough."""

    @asynccontextmanager
    async def admit(self, sequences: int) -> AsyncIterator[None]:
        """Wait for admission; the block is the sampling of so many sequences."""
        if not self.gate.done():
            await asyncio.shield(asyncio.wrap_future(self.gate))
        if self.limit is None:
            yield
            return
        async with self.limit.hold(sequences, self.step):
            yield
