"""Checkpoints, and a network between client and S3 server that fails as networks do."""

import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from physrl.storage.checkpoints import Checkpoint, Checkpoints

Matches = Callable[[str, str], bool]
"""Whether a fault befalls a request, by its method and its path with the query."""


@dataclass
class Fault:
    """What befalls the next requests that match."""

    kind: str
    """Status such as `503 SlowDown`, or: slow, silent, cut upload, wrong upload, lost answer,
    cut download, wrong download, kill server."""
    matches: Matches
    times: int


@dataclass
class Network:
    """Hands requests on, until told otherwise."""

    server: Any
    """Behind it."""
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    """Method, path with the range that is asked for, and length of body of all that came."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, kind: str, method: str, part: str = "", times: int = 1) -> None:
        """The next requests of a method, whose path holds a text, meet this."""
        matches = lambda found, path: found == method and part in path  # noqa: E731
        self.faults.append(Fault(kind, matches, times))

    def fault_of(self, method: str, path: str) -> str:
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.matches(method, path):
                    fault.times -= 1
                    return fault.kind
        return ""

    def sent(self, method: str, part: str = "") -> int:
        """How many requests of a method with a text in their path have come."""
        with self.lock:
            return sum(one == method and part in path for one, path, _ in self.requests)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    network: Network

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        what = f"{self.path} {self.headers.get('Range', '')}"
        with self.network.lock:
            self.network.requests.append((self.command, what, length))
        fault = self.network.fault_of(self.command, what)
        if fault == "kill server":
            self.network.server.kill()
        if fault == "cut upload":
            self.rfile.read(length // 2)
            return self.hang_up()
        body = self.rfile.read(length)
        if fault[:1].isdigit():
            return self.refuse(*fault.split())
        if fault == "silent":
            time.sleep(5)
            return self.hang_up()
        if fault == "slow":
            time.sleep(0.3)
        status, headers, data = self.forward(flip(body) if fault == "wrong upload" else body)
        if fault == "lost answer":
            return self.hang_up()
        self.answer(status, headers, data, fault)
        return None

    def forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        try:
            server = http.client.HTTPConnection("127.0.0.1", self.network.server.port)
            server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "expect":
                    server.putheader(name, value)
            server.endheaders(body)
            answer = server.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except OSError:
            return 502, [], b""

    def answer(self, status: int, headers: list[tuple[str, str]], data: bytes, fault: str) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        length = dict(headers).get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        if fault == "cut download":
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.hang_up()
        else:
            self.wfile.write(flip(data) if fault == "wrong download" else data)

    def refuse(self, status: str, code: str) -> None:
        text = f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
        self.answer(int(status), [("Content-Type", "application/xml")], text, "")

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients that hang up are what this is for."""


def flip(data: bytes) -> bytes:
    """The same with another bit in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :] if data else data


@pytest.fixture
def network(bucket: str, seaweed_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """What lies between the clients of this test and the server; retries do not wait long."""
    network = Network(seaweed_server)
    handler = type("Bound", (Handler,), {"network": network})
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", brief)
        monkeypatch.setattr("random.uniform", lambda low, high: min(high, 0.05))
        yield network
        server.shutdown()


def brief(*_: Any) -> float:
    return 0.01


@pytest.fixture
def commit() -> Callable[..., Checkpoint]:
    """Makes a checkpoint in a run's folder; each has contents of its own."""

    def commit(run: Path, step: int, score: float | None = None, keep_last: int = 2) -> Checkpoint:
        def write(folder: Path) -> None:
            (folder / "adapter").mkdir()
            (folder / "adapter" / "adapter_model.safetensors").write_bytes(os.urandom(1000))
            (folder / "learner.bin").write_bytes(f"{run} {step}".encode() * 100)

        state = {"policy_version": step} | ({} if score is None else {"score": score})
        return Checkpoints(run, keep_last).commit(step, state, write)

    return commit


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a run is kept: a folder, or a bucket behind the network."""
    if request.param == "folder":
        return str(tmp_path / "storage" / "run")
    request.getfixturevalue("network")
    return f"s3://{request.getfixturevalue('bucket')}/storage/run"
