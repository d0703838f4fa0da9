"""Processes that end with all of their descendants."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

GRACE_SECONDS = 15


@contextmanager
def running(
    command: list[str], environment: dict[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process that Ctrl-C does not reach; end it and its descendants on leaving."""
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command, env=environment, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        yield process
    finally:
        end_tree(process.pid)
        process.wait()


def end_tree(pid: int) -> None:
    """Terminate a process and its descendants; kill those that are left after a while."""
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in tree:
        _signal(process, "terminate")
    _, left = psutil.wait_procs(tree, GRACE_SECONDS)
    for process in left:
        _signal(process, "kill")
    psutil.wait_procs(left, GRACE_SECONDS)


def _signal(process: psutil.Process, method: str) -> None:
    try:
        getattr(process, method)()
    except psutil.NoSuchProcess:
        return
