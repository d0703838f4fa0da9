"""Ctrl-C and `ray job stop` end a run with a checkpoint."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

POLL_SECONDS = 0.2
Result = TypeVar("Result")


class Stopped(Exception):
    """Somebody asked the run to stop, and what it waited for is given up."""


class StopRequest:
    """Whether somebody asked the run to stop."""

    def __init__(self) -> None:
        self.requested = False

    def wait_for(self, future: "Future[Result]") -> Result:
        """A future's result.

        Raises:
            Stopped: a stop is requested before it is there; the future is cancelled.
        """
        while not self.requested:
            try:
                return future.result(POLL_SECONDS)
            except TimeoutError:
                if future.done():  # meanwhile, or with this very error
                    return future.result()
        future.cancel()
        raise Stopped


@contextmanager
def stop_on_signals(then: Callable[[], None] = lambda: None) -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a request; a second SIGINT interrupts at once.

    To be entered after `ray.init`, which installs handlers of its own.

    Args:
        then: called when it is requested.
    """
    stop = StopRequest()

    def request(number: int, frame: FrameType | None) -> None:
        if stop.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.requested = True
        then()

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Have SIGTERM, which `ray job stop` sends, raise what Ctrl-C does.

    To be entered after `ray.init`, whose own handler aborts the process.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
