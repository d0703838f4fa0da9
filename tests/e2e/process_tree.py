"""Processes and all that they started, ended by number."""

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
    """A process away from the terminal's Ctrl-C; it and its descendants end on leaving."""
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
    """Ask a process and its descendants to end, and kill those that do not."""
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in tree:
        _tell(process, "terminate")
    _, left = psutil.wait_procs(tree, GRACE_SECONDS)
    for process in left:
        _tell(process, "kill")
    psutil.wait_procs(left, GRACE_SECONDS)


def _tell(process: psutil.Process, what: str) -> None:
    try:
        getattr(process, what)()
    except psutil.NoSuchProcess:
        return
