"""Ray tasks with a limit on their concurrency."""

from collections.abc import Iterator, Sequence
from typing import Any

import ray


def run_tasks(
    task: Any, calls: Sequence[tuple[object, ...]], at_once: int
) -> Iterator[tuple[int, ray.ObjectRef | None]]:
    """Call a remote function with each tuple of arguments, at most `at_once` at a time.

    Yields:
        The index of a call when it starts, with None; and again when it has finished, with the
        reference of its result, which may be an error.
    """
    waiting = iter(enumerate(calls))
    running: dict[ray.ObjectRef, int] = {}
    while True:
        while len(running) < at_once and (call := next(waiting, None)) is not None:
            index, arguments = call
            yield index, None
            running[task.remote(*arguments)] = index
        if not running:
            return
        (done,), _ = ray.wait(list(running), num_returns=1)
        yield running.pop(done), done
