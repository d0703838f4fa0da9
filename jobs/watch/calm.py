"""Turns of the pages and of what is read behind them: a page goes first."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self


class Calm:
    """A context in which a page is made, and for whose end what is less urgent waits."""

    def __init__(self) -> None:
        self._lock, self._none = threading.Lock(), threading.Event()
        self._none.set()

    def __enter__(self) -> Self:
        self._lock.acquire()
        self._none.clear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._none.set()
        self._lock.release()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let what is less urgent go on while the page waits for it."""
        self._none.set()
        try:
            yield
        finally:
            self._none.clear()

    def wait(self) -> None:
        """Wait until no page is being made."""
        self._none.wait()
