"""A background thread for a sink that may be slow or fail."""

import logging
import queue
import threading

from physrl.metrics.backlog import Backlog, reason
from physrl.metrics.sink import MetricsSink, Row

CLOSING_SECONDS = 60.0
"""Timeout at the end of a run for rows that were not yet sent."""
_logger = logging.getLogger(__name__)


class Background:
    """A thread that writes rows to a sink, and whose errors never reach training.

    A row that fails is retried before the next one, as a network may have recovered by then.
    """

    def __init__(self, sink: MetricsSink, closing_seconds: float = CLOSING_SECONDS) -> None:
        self._sink, self._closing_seconds = sink, closing_seconds
        self._backlog = Backlog(sink, retried=Exception)
        self._rows: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"to {sink.name}", daemon=True)
        self._thread.start()

    def write(self, row: Row) -> None:
        """Queue a row."""
        self._rows.put(row)

    def close(self) -> None:
        """Wait until all rows are sent, up to the timeout; warn about those that are not."""
        self._rows.put(None)
        self._thread.join(self._closing_seconds)
        if self._thread.is_alive():
            _logger.warning(
                "%s did not accept all metrics within %g s: metrics.jsonl has them",
                self._sink.name,
                self._closing_seconds,
            )

    def _run(self) -> None:
        while (row := self._rows.get()) is not None:
            self._backlog.write(row)
        self._backlog.flush()
        if self._backlog.error is not None:
            _logger.warning(
                "%s did not accept the last %d steps (%s): metrics.jsonl has them",
                self._sink.name,
                len(self._backlog),
                reason(self._backlog.error),
            )
        try:
            self._sink.close()
        except Exception as error:
            _logger.warning("closing %s failed: %s", self._sink.name, reason(error))
