"""An HTTP server that gives one prepared answer to every request."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """The answer that is given, which a test may change, and the requests seen."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Close the connection instead."""
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, path and headers of each."""
    url: str = ""


def s3_error(code: str, message: str) -> bytes:
    """Return the body with which S3 servers refuse."""
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()


@contextmanager
def answering() -> Iterator[Answer]:
    """Start the server on a free port of this machine."""
    answer = Answer()
    handler = type("Bound", (_Handler,), {"answer": answer})
    with _Server(("127.0.0.1", 0), handler) as server:
        answer.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield answer
        server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that leave early."""


class _Handler(BaseHTTPRequestHandler):
    answer: Answer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # the body follows at once, not 40 ms after the head

    def handle_any(self) -> None:
        answer = self.answer
        answer.requests.append((self.command, self.path, dict(self.headers)))
        self.rfile.read(int(self.headers.get("content-length") or 0))
        if answer.cut:
            self.close_connection = True
            return
        self.send_response(answer.status)
        headers = {"content-type": "application/xml", "content-length": str(len(answer.body))}
        for name, value in (headers | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
