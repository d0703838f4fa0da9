"""A Ray head that is process 1 of its container, as KubeRay starts it.

PID, mount and network namespaces stand for the container; commands enter them as the kubelet does
for a preStop hook.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.paths import ROOT

DOCKER = ROOT / "docker"
HEAD = (
    "ulimit -n 65536; ray start --head --block --dashboard-host=0.0.0.0 --num-cpus=0 --num-gpus=0 "
    "--dashboard-agent-listen-port=52365 --metrics-export-port=8080 --object-store-memory=80000000"
)
ADDRESS = "http://127.0.0.1:8265"
STOP_WAIT_S, START_S, EXECUTE_S = 120, 300, 240
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT),
    "HOME": "/tmp",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "secret",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S),
    # At Ray's nice value of 15 actors starve beside any other busy process.
    "RAY_worker_niceness": "0",
}
NAMESPACES = ("--pid", "--fork", "--mount-proc", "--mount", "--kill-child")
ENDED = {"SUCCEEDED", "FAILED", "STOPPED"}


def can_unshare() -> bool:
    """Whether this machine lets the tests make namespaces."""
    tools = all(map(shutil.which, ("unshare", "nsenter", "ip")))
    probe = ["unshare", *NAMESPACES, "--net", "true"]
    return tools and subprocess.run(probe, capture_output=True).returncode == 0


class RayHead:
    """A container whose process 1 is Ray's head; its /tmp is the folder `tmp` outside."""

    def __init__(self, tmp: Path, environment: Mapping[str, str], own_network: bool = True) -> None:
        self.tmp = tmp
        self._environment = ENVIRONMENT | dict(environment)
        self._network = ["--net"] if own_network else []
        network = "ip link set lo up && " if own_network else ""
        start = f"mount --rbind {tmp} /tmp && {network}cd {ROOT} && exec bash -c -- '{HEAD}'"
        if ROOT.is_relative_to("/tmp"):  # else the new /tmp would hide the checkout
            inside = tmp / ROOT.relative_to("/tmp")
            start = f"mkdir -p {inside} && mount --bind {ROOT} {inside} && {start}"
        self.process = subprocess.Popen(
            ["unshare", *NAMESPACES, *self._network, "bash", "-c", start],
            env=self._environment,
            stdout=(tmp / "head.log").open("wb"),
            stderr=subprocess.STDOUT,
        )

    @property
    def pid(self) -> int:
        """Process 1, by its id outside."""
        file = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        deadline = time.monotonic() + START_S
        while not (children := file.read_text().split()):
            waiting = self.process.poll() is None and time.monotonic() < deadline
            assert waiting, (self.tmp / "head.log").read_text()
            time.sleep(0.1)
        return int(children[0])

    def inside(self, *command: str) -> list[str]:
        """A command that runs inside, as `kubectl exec` and the kubelet's hooks do."""
        target = ["nsenter", "--target", str(self.pid), "--pid", "--mount", *self._network]
        return [*target, f"--wd={ROOT}", *command]

    def execute(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command inside, and return its output."""
        return subprocess.run(
            self.inside(*command),
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=EXECUTE_S,
        )

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        """Start a command inside; it ends with process 1."""
        log = (self.tmp / "started.log").open("ab")
        return subprocess.Popen(
            self.inside(*command), env=self._environment, stdout=log, stderr=subprocess.STDOUT
        )

    def wait_until_ready(self) -> None:
        """Wait until the head takes jobs."""
        deadline = time.monotonic() + START_S
        while self._ask("running_jobs()").returncode:
            assert time.monotonic() < deadline, (self.tmp / "head.log").read_text()
            time.sleep(0.5)

    def _ask(self, expression: str) -> "subprocess.CompletedProcess[str]":
        path = f"import sys; sys.path.insert(0, '{DOCKER}')"
        code = f"{path}; import job_api; print(job_api.{expression})"
        return self.execute(sys.executable, "-c", code)

    def submit(self, name: str, *command: str) -> None:
        """Submit a job under an id."""
        client = ("ray", "job", "submit", "--address", ADDRESS, "--no-wait")
        done = self.execute(*client, "--submission-id", name, "--", *command)
        assert done.returncode == 0, done.stdout + done.stderr

    def launch(self, name: str, *command: str) -> None:
        """Submit a job as a RayJob of the chart does."""
        self.submit(name, "exec", sys.executable, str(DOCKER / "run_job.py"), "/tmp/logs", *command)

    def log(self, name: str) -> str:
        """The log that the launcher has kept so far."""
        file = self.tmp / "logs" / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def status(self, name: str) -> str:
        """A job's status."""
        return self._ask(f"request('/api/jobs/{name}')['status']").stdout.strip()

    def wait_for(self, name: str, *statuses: str) -> str:
        """Wait until a job has one of some statuses, and return what it has at the end."""
        deadline = time.monotonic() + START_S
        while (status := self.status(name)) not in statuses and time.monotonic() < deadline:
            time.sleep(0.5)
        return status

    def wait_for_line(self, name: str, text: str) -> None:
        """Wait until the launcher's log holds a text."""
        deadline = time.monotonic() + START_S
        while text not in self.log(name):
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.2)

    def wait_for_file(self, name: str) -> None:
        """Wait until a job has written a file in /tmp."""
        deadline = time.monotonic() + START_S
        while not (self.tmp / name).exists():
            assert time.monotonic() < deadline, name
            time.sleep(0.2)

    def run_hook(self) -> "subprocess.CompletedProcess[str]":
        """Run the head's preStop hook."""
        script = str(DOCKER / "stop_jobs.py")
        return self.execute(sys.executable, script, "head", str(STOP_WAIT_S))
