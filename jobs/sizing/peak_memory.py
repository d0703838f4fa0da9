"""The peak memory of this process and its children."""

import threading
from types import TracebackType
from typing import Self

import psutil

INTERVAL = 1.0
"""Seconds between samples."""


class PeakMemory:
    """A context that samples the resident memory of the process tree once a second.

    The sum counts shared memory once per process, so it is an upper bound.
    """

    def __init__(self) -> None:
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    @property
    def gigabytes(self) -> float:
        """Largest sum sampled, in GB of 10^9 bytes."""
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

    def _sample(self) -> None:
        process, done = psutil.Process(), False
        while not done:
            tree = [process, *process.children(recursive=True)]
            self._peak = max(self._peak, sum(map(_resident_bytes, tree)))
            done = self._done.wait(INTERVAL)


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it has exited
        return 0
