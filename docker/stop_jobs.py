"""A pod's preStop hook: let jobs write their checkpoint before Ray is ended.

python stop_jobs.py head SECONDS      stop all jobs and wait until they have ended
python stop_jobs.py worker SECONDS    wait until no actor runs in this pod

Ray's head process ends at SIGTERM without a signal to its jobs. Kubernetes sends SIGTERM after this
hook. All pods of a suspended cluster are deleted at once, so workers wait for the job they serve.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import job_api
import run_job

POLL_S = 0.5
IDLE = b"ray::IDLE"


def stop_all() -> None:
    """Stop every running job.

    A RayJob's launcher is signaled directly: a job that Ray's API stops counts as complete, and
    KubeRay would not resume it on another node.
    """
    for name in job_api.running_jobs():
        with suppress(OSError, ValueError):
            os.kill(int((run_job.PIDS / name).read_text(encoding="utf-8")), signal.SIGUSR1)
            continue
        job_api.stop(name)


def has_jobs() -> bool:
    """Whether a job of this head has not ended."""
    return bool(job_api.running_jobs())


def has_actors() -> bool:
    """Whether a Ray process of this pod runs an actor or a task."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            title = path.read_bytes()
            if title.startswith(b"ray::") and not title.startswith(IDLE):
                return True
    return False


def wait_while(busy: Callable[[], bool], seconds: float) -> bool:
    """Wait until nothing is busy, and return whether that came in time."""
    deadline = time.monotonic() + seconds
    while busy():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def main() -> None:
    """Run the command line; a head that does not answer has no job to stop."""
    kind, seconds = sys.argv[1], float(sys.argv[2])
    try:
        if kind == "head":
            stop_all()
        done = wait_while(has_jobs if kind == "head" else has_actors, seconds)
    except OSError as error:
        sys.exit(f"error: no job was stopped: {error}")
    if not done:
        sys.exit(f"error: jobs still run after {seconds:g} s: raise termination.stopSeconds")


if __name__ == "__main__":
    main()
