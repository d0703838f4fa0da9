"""A Ray cluster of two nodes on this machine, as in the chart: a head without cores, a worker."""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.process_tree import running
from tests.support.ports import free_ports

START_SECONDS = 120
STORE_BYTES = 256 << 20
HEAD_PORTS = (
    "port",
    "dashboard-port",
    "ray-client-server-port",
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "metrics-export-port",
)
WORKER_PORTS = HEAD_PORTS[3:]
METRIC_PORTS = ("AUTOSCALER_METRIC_PORT", "DASHBOARD_METRIC_PORT")
"""Ports of the head's other pages; by default the same for all clusters of a machine."""


@dataclass(frozen=True, slots=True)
class RayCluster:
    """Addresses and the token of a running cluster."""

    address: str
    """URL of the dashboard, where jobs are submitted."""
    token: str
    pages: tuple[str, ...]
    """URLs of the nodes' metrics, for Prometheus."""

    @property
    def client(self) -> dict[str, str]:
        """Environment of a user of the cluster."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}

    def status(self, job: str) -> str:
        """Return the status of a job: SUCCEEDED, FAILED, STOPPED, ..."""
        return str(self.get(f"/api/jobs/{job}")["status"])

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(self.address + path, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


@contextmanager
def ray_cluster(folder: Path, environment: Mapping[str, str], cores: int) -> Iterator[RayCluster]:
    """Start two nodes with token authentication, which end on leaving.

    Args:
        folder: destination of sockets and logs, whose paths must be short.
        environment: more variables of jobs, such as the storage's credentials.
        cores: cores of the worker.
    """
    folder.mkdir()
    ports = iter(free_ports(len(HEAD_PORTS) + len(WORKER_PORTS) + len(METRIC_PORTS)))
    head = {name: next(ports) for name in HEAD_PORTS}
    worker = {name: next(ports) for name in WORKER_PORTS}
    others = {name: str(next(ports)) for name in METRIC_PORTS}
    cluster = RayCluster(
        f"http://127.0.0.1:{head['dashboard-port']}",
        secrets.token_hex(32),
        tuple(f"http://127.0.0.1:{each['metrics-export-port']}" for each in (head, worker)),
    )
    inside = _environment(folder) | others | cluster.client | environment
    address = f"127.0.0.1:{head['port']}"
    with ExitStack() as stack:

        def start(name: str, *options: str, ports: Mapping[str, int], cores: int) -> None:
            command = [
                f"{sys.prefix}/bin/ray", "start", "--block", "--disable-usage-stats",
                "--node-ip-address=127.0.0.1", f"--num-cpus={cores}", "--num-gpus=0",
                f"--object-store-memory={STORE_BYTES}",
                *options, *(f"--{key}={port}" for key, port in ports.items()),
            ]  # fmt: skip
            log = folder / f"{name}.log"
            node = stack.enter_context(running(command, inside, log))
            _wait_for_node(cluster, ports, node, log)

        start("head", "--head", "--dashboard-host=127.0.0.1", ports=head, cores=0)
        # Of two log monitors on a machine each would read all logs.
        options = (f"--address={address}", "--include-log-monitor=false")
        start("worker", *options, ports=worker, cores=cores)
        yield cluster


def _environment(folder: Path) -> dict[str, str]:
    """Make the nodes' environment, without variables that lead to a cluster or the project."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("RAY_", "AWS_", "MAKE", "PYTHON"))
    }
    return kept | {
        "PATH": os.pathsep.join((f"{sys.prefix}/bin", os.environ["PATH"])),
        "RAY_TMPDIR": str(folder),
        "RAY_metrics_report_interval_ms": "1000",
        # At Ray's nice value of 15 actors starve beside any other busy process.
        "RAY_worker_niceness": "0",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }


def _wait_for_node(
    cluster: RayCluster, ports: Mapping[str, int], node: "subprocess.Popen[bytes]", log: Path
) -> None:
    """Wait until a node exports metrics, and the head takes jobs."""
    page = f"http://127.0.0.1:{ports['metrics-export-port']}"
    for _ in range(START_SECONDS * 2):
        try:
            urllib.request.urlopen(page, timeout=5).close()
            cluster.get("/api/jobs/")
            return
        except OSError:
            if node.poll() is not None:
                raise RuntimeError(f"ray start ended: {log.read_text()}") from None
            time.sleep(0.5)
    raise TimeoutError(f"{page} does not answer: {log.read_text()}")
