"""Run the command of a RayJob: keep its log, and tell KubeRay whether to retry.

python run_job.py LOG_FOLDER COMMAND...

- The output also goes to LOG_FOLDER/<submission id>.log: KubeRay deletes a cluster, with its logs,
  before each retry.
- Exit code 2 is a user's mistake, which a retry would repeat on a whole cluster. The job is stopped
  through Ray's API: KubeRay retries failed jobs, and not stopped ones.
- SIGUSR1 comes from stop_jobs.py: the pod is being deleted. The command gets SIGTERM, on which it
  writes a checkpoint, and the job ends as failed, so that KubeRay retries it.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import BinaryIO

import job_api

MISTAKE = 2
PREEMPTED = 75
"""The exit code of a job whose pod was deleted: EX_TEMPFAIL of sysexits.h."""
STOP_WAIT_S = 60
ORPHANS_S = 5
PR_SET_CHILD_SUBREAPER = 36
PIDS = Path("/tmp/physrl-jobs")
"""Process ids of running launchers, by submission id."""


def submission_id() -> str:
    """The id that Ray gave this job; the process id outside of Ray."""
    text = os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    metadata = json.loads(text).get("metadata", {})
    return str(metadata.get("job_submission_id", f"process-{os.getpid()}"))


def open_log(folder: Path, name: str) -> BinaryIO | None:
    """Open the log's copy; None, with a warning, where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / f"{name}.log").open("ab", buffering=0)
    except OSError as error:
        print(f"warning: the log is not kept in {folder}: {error}", file=sys.stderr)
        return None


def run(command: list[str], log: BinaryIO | None) -> int:
    """Run a command to its end, and return its exit code, or PREEMPTED."""
    preempted = False
    process: subprocess.Popen[bytes] | None = None

    def preempt(signum: int, frame: FrameType | None) -> None:
        nonlocal preempted
        preempted = True
        if process is not None:
            process.terminate()

    # Ray itself sends SIGTERM to the command, which ends in its own time.
    signal.signal(signal.SIGTERM, lambda signum, frame: None)
    signal.signal(signal.SIGUSR1, preempt)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if preempted:
        process.terminate()
    reader = threading.Thread(target=copy_output, args=(process.stdout, log), daemon=True)
    reader.start()
    code = process.wait()
    reader.join(ORPHANS_S)  # a process that the command left behind may hold its output open
    reap_orphans()
    return PREEMPTED if preempted else code


def copy_output(output: BinaryIO, log: BinaryIO | None) -> None:
    """Copy lines to this process's output and to the log."""
    for line in output:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        if log is not None:
            with suppress(OSError):  # a full volume must not end the job
                log.write(line)


def adopt_orphans() -> None:
    """Become the parent of processes that the command leaves behind.

    Process 1 of the head's container is Ray, which reaps none: they would stay zombies, and Ray
    would wait for them when it stops the job.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans() -> None:
    """Reap what has ended; wait a little for what is about to end."""
    deadline = time.monotonic() + ORPHANS_S
    with suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.1)


def end_without_retry(name: str) -> None:
    """Stop this job through Ray's API, and wait for the SIGTERM that follows."""
    signal.signal(signal.SIGTERM, lambda signum, frame: os._exit(MISTAKE))
    print("exit code 2 is a mistake in the job: it is stopped and not retried", flush=True)
    try:
        job_api.stop(name)
    except OSError as error:
        print(f"warning: Ray does not stop the job, KubeRay may retry it: {error}", flush=True)
        return
    time.sleep(STOP_WAIT_S)


def main() -> None:
    """Run the command line."""
    folder, command, name = Path(sys.argv[1]), sys.argv[2:], submission_id()
    PIDS.mkdir(exist_ok=True)
    (PIDS / name).write_text(str(os.getpid()), encoding="utf-8")
    adopt_orphans()
    try:
        code = run(command, open_log(folder, name))
    finally:
        (PIDS / name).unlink(missing_ok=True)
    if code == MISTAKE:
        end_without_retry(name)
    sys.exit(code)


if __name__ == "__main__":
    main()
