"""Places where runs are stored: a folder, and a bucket behind a network with faults."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physrl.storage import s3
from tests.support.faulty_network import Handler, Network, Server
from tests.support.ports import free_port


@pytest.fixture
def network(bucket: str, seaweed_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """The network between this test's clients and the S3 server; retries wait only briefly."""
    network = Network(seaweed_server)
    handler = type("Bound", (Handler,), {"network": network})
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        delay = "botocore.retries.standard.ExponentialBackoff.delay_amount"
        monkeypatch.setattr(delay, lambda *_: 0.01)
        monkeypatch.setattr("random.uniform", lambda low, high: min(high, 0.05))
        yield network
        server.shutdown()


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The location of a stored run: a folder, or a bucket behind the network."""
    if request.param == "folder":
        return str(tmp_path / "storage" / "run")
    request.getfixturevalue("network")
    return f"s3://{request.getfixturevalue('bucket')}/storage/run"


@pytest.fixture
def closed_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint where nothing listens, with a password in its URL."""
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://me:hush@127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
