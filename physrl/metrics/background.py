"""A sink that may be slow or fail, kept away from training."""

import logging
import queue
import threading

from physrl.metrics.backlog import Backlog, reason
from physrl.metrics.sink import MetricsSink, Row

CLOSING_SECONDS = 60.0
"""How long the end of a run waits for what was not sent yet."""
_logger = logging.getLogger(__name__)


class Background:
    """Hands rows to a sink on a thread of its own; whatever the sink raises ends nothing.

    A row that fails is offered again before the next one, as a network may be back by then.
    """

    def __init__(self, sink: MetricsSink, closing_seconds: float = CLOSING_SECONDS) -> None:
        self._sink, self._closing_seconds = sink, closing_seconds
        self._backlog = Backlog(sink, passing=Exception)
        self._rows: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=f"to {sink.name}", daemon=True)
        self._thread.start()

    def write(self, row: Row) -> None:
        """Returns at once."""
        self._rows.put(row)

    def close(self) -> None:
        """Wait, for a while, until everything is sent; warns of what is not."""
        self._rows.put(None)
        self._thread.join(self._closing_seconds)
        if self._thread.is_alive():
            _logger.warning(
                "%s did not take all metrics within %g s: metrics.jsonl has them",
                self._sink.name,
                self._closing_seconds,
            )

    def _serve(self) -> None:
        while (row := self._rows.get()) is not None:
            self._backlog.write(row)
        self._backlog.flush()
        if self._backlog.error is not None:
            _logger.warning(
                "%s has not got the last %d steps (%s): metrics.jsonl has them",
                self._sink.name,
                len(self._backlog),
                reason(self._backlog.error),
            )
        try:
            self._sink.close()
        except Exception as error:
            _logger.warning("%s did not close: %s", self._sink.name, reason(error))
