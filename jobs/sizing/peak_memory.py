"""How much memory this process and all that it started hold at once."""

import threading
from types import TracebackType
from typing import Self

import psutil

INTERVAL = 1.0


class PeakMemory:
    """Samples the resident memory of the process tree once a second.

    Memory that processes share is counted for each of them: an upper bound.
    """

    def __init__(self) -> None:
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def gigabytes(self) -> float:
        """The largest sum seen."""
        return self._peak / 1e9

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._done.wait(INTERVAL):
            self._peak = max(self._peak, sum(map(_resident, [me, *me.children(recursive=True)])))


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it ended meanwhile
        return 0
