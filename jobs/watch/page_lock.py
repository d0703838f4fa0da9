"""The lock under which a page is made; reading in the background waits for its release."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self


class PageLock:
    """A context in which a single page is made, and for whose end background reading waits."""

    def __init__(self) -> None:
        self._lock, self._idle = threading.Lock(), threading.Event()
        self._idle.set()

    def __enter__(self) -> Self:
        self._lock.acquire()
        self._idle.clear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._idle.set()
        self._lock.release()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let background reading go on while the page waits for it."""
        self._idle.set()
        try:
            yield
        finally:
            self._idle.clear()

    def wait(self) -> None:
        """Wait until no page is being made."""
        self._idle.wait()
