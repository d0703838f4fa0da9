"""Jobs on a real Ray head that is process 1 of its container, as KubeRay starts it.

PID, network and mount namespaces stand for the container; commands enter them as the kubelet does
for a preStop hook.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

DOCKER = ROOT / "docker"
BIN = Path(sys.executable).parent
HEAD = (
    "ulimit -n 65536; ray start --head --block --dashboard-host=0.0.0.0 --num-cpus=0 --num-gpus=0 "
    "--dashboard-agent-listen-port=52365 --metrics-export-port=8080 --object-store-memory=80000000"
)
STOP_WAIT_S = 120
ENVIRONMENT = {
    "PATH": f"{BIN}:{os.environ['PATH']}",
    "HOME": "/tmp",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "secret",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S),
}
NAMESPACES = ("--pid", "--fork", "--mount-proc", "--net", "--mount", "--kill-child")
JOB = """
import pathlib, signal, sys, time
def checkpoint(*_):
    time.sleep(2)
    pathlib.Path(sys.argv[1]).write_text("whole")
    sys.exit(0)
signal.signal(signal.SIGTERM, checkpoint)
print("training", flush=True)
time.sleep(300)
"""
ENDED = {"SUCCEEDED", "FAILED", "STOPPED"}


def can_unshare() -> bool:
    tools = all(map(shutil.which, ("unshare", "nsenter", "ip")))
    probe = ["unshare", *NAMESPACES, "true"]
    return tools and subprocess.run(probe, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not can_unshare(), reason="namespaces need root, unshare and ip")


class Container:
    """A Ray head as process 1; its /tmp is `tmp` outside."""

    def __init__(self, tmp: Path) -> None:
        self.tmp = tmp
        start = f"mount --bind {tmp} /tmp && ip link set lo up && cd / && exec bash -c -- '{HEAD}'"
        self.process = subprocess.Popen(
            ["unshare", *NAMESPACES, "bash", "-c", start],
            env=ENVIRONMENT,
            stdout=(tmp / "head.log").open("wb"),
            stderr=subprocess.STDOUT,
        )

    @property
    def pid(self) -> int:
        """Process 1, by its id outside."""
        file = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        deadline = time.monotonic() + 10
        while not (children := file.read_text().split()):
            assert time.monotonic() < deadline, (self.tmp / "head.log").read_text()
            time.sleep(0.1)
        return int(children[0])

    def execute(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command inside, as `kubectl exec` and the kubelet's hooks do."""
        enter = ["nsenter", "--target", str(self.pid), "--pid", "--mount", "--net", "--wd=/"]
        return subprocess.run(
            [*enter, *command], env=ENVIRONMENT, capture_output=True, text=True, timeout=90
        )

    def submit(self, name: str, *command: str) -> None:
        done = self.execute(
            *("ray", "job", "submit", "--address", "http://127.0.0.1:8265", "--no-wait"),
            *("--submission-id", name, "--", *command),
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def status(self, name: str) -> str:
        code = f"import job_api; print(job_api.request('/api/jobs/{name}')['status'])"
        return self.execute(
            "env", f"PYTHONPATH={DOCKER}", sys.executable, "-c", code
        ).stdout.strip()

    def wait_for(self, name: str, *statuses: str) -> str:
        deadline = time.monotonic() + 60
        while (status := self.status(name)) not in statuses and time.monotonic() < deadline:
            time.sleep(0.5)
        return status

    def wait_for_line(self, name: str) -> None:
        log, deadline = self.tmp / "logs" / f"{name}.log", time.monotonic() + 60
        while not (log.exists() and "training" in log.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    container = Container(tmp_path_factory.mktemp("head"))
    (container.tmp / "job.py").write_text(JOB)
    deadline = time.monotonic() + 60
    ready = f"import sys; sys.path.insert(0, '{DOCKER}'); import job_api; job_api.running_jobs()"
    try:
        while container.execute(sys.executable, "-c", ready).returncode:
            assert time.monotonic() < deadline, (container.tmp / "head.log").read_text()
            time.sleep(0.5)
        yield container
    finally:
        container.process.kill()
        container.process.wait()


def launched(*command: str) -> tuple[str, ...]:
    """The command of a RayJob."""
    return ("exec", sys.executable, str(DOCKER / "run_job.py"), "/tmp/logs", *command)


def test_a_mistake_stops_the_job_which_kuberay_does_not_retry(head: Container) -> None:
    head.submit("mistake", *launched("sh", "-c", "echo error: no such key; exit 2"))
    assert head.wait_for("mistake", *ENDED) == "STOPPED"
    assert (head.tmp / "logs" / "mistake.log").read_text() == "error: no such key\n"


def test_other_failures_fail(head: Container) -> None:
    head.submit("failure", *launched("sh", "-c", "exit 3"))
    assert head.wait_for("failure", *ENDED) == "FAILED"


def test_ray_job_stop_is_one_signal_and_a_checkpoint(head: Container) -> None:
    head.submit("stopped", *launched(sys.executable, "/tmp/job.py", "/tmp/stopped"))
    head.wait_for_line("stopped")
    start = time.monotonic()
    head.execute("ray", "job", "stop", "--address", "http://127.0.0.1:8265", "stopped")
    assert head.wait_for("stopped", *ENDED) == "STOPPED"
    assert (head.tmp / "stopped").read_text() == "whole"
    assert time.monotonic() - start < STOP_WAIT_S / 2


def test_a_deleted_pod_writes_checkpoints_and_its_rayjob_is_retried(head: Container) -> None:
    head.submit("rayjob", *launched(sys.executable, "/tmp/job.py", "/tmp/rayjob"))
    head.submit("submitted", sys.executable, "/tmp/job.py", "/tmp/submitted")
    head.wait_for_line("rayjob")
    assert head.wait_for("submitted", "RUNNING") == "RUNNING"
    time.sleep(1)  # until it handles signals
    start = time.monotonic()
    hook = head.execute(sys.executable, str(DOCKER / "stop_jobs.py"), "head", str(STOP_WAIT_S))
    assert (hook.returncode, hook.stderr) == (0, "")
    assert time.monotonic() - start < STOP_WAIT_S / 2
    assert head.status("rayjob") == "FAILED"  # KubeRay retries it
    os.kill(head.pid, signal.SIGTERM)
    head.process.wait(60)
    assert (head.tmp / "rayjob").read_text() == (head.tmp / "submitted").read_text() == "whole"
