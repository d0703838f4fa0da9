"""Graceful stop: Ctrl-C and `ray job stop` end a run with a checkpoint."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

POLL_SECONDS = 0.2
Result = TypeVar("Result")


class Stopped(Exception):
    """A stop was requested while the run was waiting."""


class StopRequest:
    """A flag that requests a graceful stop of the run."""

    def __init__(self) -> None:
        self.requested = False

    def wait_for(self, future: "Future[Result]") -> Result:
        """Wait for the result of a future.

        Raises:
            Stopped: a stop is requested meanwhile; the future is cancelled.
        """
        while not self.requested:
            try:
                return future.result(POLL_SECONDS)
            except TimeoutError:
                if future.done():  # just now, or the TimeoutError is its own
                    return future.result()
        future.cancel()
        raise Stopped


@contextmanager
def stop_on_signals(on_request: Callable[[], None] = lambda: None) -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a stop request; a second SIGINT interrupts at once.

    Enter it after `ray.init`, which installs handlers of its own.

    Args:
        on_request: called when a stop is requested.
    """
    stop = StopRequest()

    def request(number: int, frame: FrameType | None) -> None:
        if stop.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.requested = True
        on_request()

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Make SIGTERM, which `ray job stop` sends, raise KeyboardInterrupt like Ctrl-C.

    Enter it after `ray.init`, whose own handler aborts the process.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
