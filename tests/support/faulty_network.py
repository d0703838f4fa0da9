"""A proxy between a client and an S3 server that injects the faults of networks."""

import http.client
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Matches = Callable[[str, str], bool]
"""A predicate on a request's method, and its path with the query."""


@dataclass
class Fault:
    """A fault of the next matching requests."""

    kind: str
    """A status such as `503 SlowDown`, or: slow, silent, cut upload, wrong upload, lost answer,
    cut download, wrong download, kill server."""
    matches: Matches
    times: int


@dataclass
class Network:
    """Faults to inject, and the requests seen."""

    server: Any
    """Server that requests are forwarded to."""
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    """Method, path with the requested range, and length of the body of each request."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, kind: str, method: str, part: str = "", times: int = 1) -> None:
        """Inject a fault into the next requests of a method whose path contains a text."""
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
        """Count the requests of a method whose path contains a text."""
        with self.lock:
            return sum(sent == method and part in path for sent, path, _ in self.requests)


class Handler(BaseHTTPRequestHandler):
    """A handler that forwards requests, with the faults of its network."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # the body follows at once, not 40 ms after the head
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
        """Ignore clients that hang up."""


def flip(data: bytes) -> bytes:
    """Flip a bit in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :] if data else data
