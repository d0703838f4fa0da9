"""Metrics that nodes export for Prometheus while jobs run."""

import threading
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Self


class MetricPages:
    """Reads the pages every second, in a thread, and keeps the first line of every metric.

    A metric leaves its page when the process that exports it ends.

    Args:
        file: destination of the lines, in the text format of Prometheus.
    """

    def __init__(self, pages: Sequence[str], file: Path) -> None:
        self._pages, self._file = pages, file
        self._seen: dict[str, str] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()
        self._file.write_text("".join(f"{line}\n" for line in self._seen.values()))

    def _poll(self) -> None:
        while not self._done.wait(1):
            for page in self._pages:
                for line in _read(page).splitlines():
                    if not line.startswith("#"):
                        self._seen.setdefault(line.partition("{")[0].partition(" ")[0], line)


def _read(page: str) -> str:
    try:
        with urllib.request.urlopen(page, timeout=10) as response:
            return str(response.read().decode())
    except OSError:  # a busy agent, which answers the next request
        return ""
