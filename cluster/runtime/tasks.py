"""Ray tasks, a few of them at once."""

from collections.abc import Iterator, Sequence
from typing import Any

import ray


def run_tasks(
    task: Any, calls: Sequence[tuple[object, ...]], at_once: int
) -> Iterator[tuple[int, ray.ObjectRef | None]]:
    """Call a remote function with each of these arguments, at most `at_once` at a time.

    Yields:
        The place of a call when it begins, with None; and again with its result's reference, which
        may hold an error, when it is done.
    """
    waiting = iter(enumerate(calls))
    running: dict[ray.ObjectRef, int] = {}
    while True:
        while len(running) < at_once and (following := next(waiting, None)) is not None:
            place, arguments = following
            yield place, None
            running[task.remote(*arguments)] = place
        if not running:
            return
        (done,), _ = ray.wait(list(running), num_returns=1)
        yield running.pop(done), done
