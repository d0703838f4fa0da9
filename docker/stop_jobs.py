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
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import job_api
import run_job

POLL_S = 0.5
KUBERAY_S = 10
"""How long the head still answers after its RayJobs have failed: KubeRay asks every 3 s."""
IDLE = b"ray::IDLE"


def stop_all() -> tuple[list[str], bool]:
    """Stop every running job; return their ids, and whether KubeRay has to learn of one.

    A RayJob's launcher is signaled directly: a job that Ray's API stops counts as complete, and
    KubeRay would not resume it on another node.
    """
    names, of_kuberay = job_api.running_jobs(), False
    for name in names:
        with suppress(OSError, ValueError):
            os.kill(int((run_job.PIDS / name).read_text(encoding="utf-8")), signal.SIGUSR1)
            of_kuberay = True
            continue
        job_api.stop(name)
    return names, of_kuberay


def has_processes(names: Collection[str]) -> bool:
    """Whether a process of one of the jobs is alive.

    Ray's own status lags: where its head is process 1, ended processes stay zombies, and Ray waits
    for them as long as RAY_JOB_STOP_WAIT_TIME_S. A zombie has no environment.
    """
    marks = [f'"job_submission_id": "{name}"'.encode() for name in names]
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            environment = path.read_bytes()
            if any(mark in environment for mark in marks):
                return True
    return False


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


def stop_head(seconds: float) -> bool:
    """Stop all jobs of this head, and return whether they ended in time."""
    names, of_kuberay = stop_all()
    done = wait_while(lambda: has_processes(names), seconds)
    if of_kuberay:
        time.sleep(KUBERAY_S)
    return done


def main() -> None:
    """Run the command line; a head that does not answer has no job to stop."""
    kind, seconds = sys.argv[1], float(sys.argv[2])
    try:
        done = stop_head(seconds) if kind == "head" else wait_while(has_actors, seconds)
    except OSError as error:
        sys.exit(f"error: no job was stopped: {error}")
    if not done:
        sys.exit(f"error: jobs still run after {seconds:g} s: raise termination.stopSeconds")


if __name__ == "__main__":
    main()
