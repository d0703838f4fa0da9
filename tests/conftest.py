"""What every test runs under: one thread, no hub, no network."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator


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
