"""Rows that a sink has not accepted yet."""

import logging
from collections import deque

from physrl.metrics.sink import MetricsSink, Row

_logger = logging.getLogger(__name__)


class Backlog:
    """A queue that writes rows to a sink in order, and retries failed ones with the next row.

    Args:
        retried: type of the errors after which rows are retried; others are raised.
    """

    def __init__(self, sink: MetricsSink, retried: type[Exception]) -> None:
        self.name = sink.name
        self._sink, self._retried = sink, retried
        self._rows: deque[Row] = deque()
        self.error: Exception | None = None
        """Error of the first row in the queue; None if the queue is empty."""

    def __len__(self) -> int:
        """Return the number of rows in the queue."""
        return len(self._rows)

    def write(self, row: Row) -> None:
        """Write a row after those in the queue; log a warning once per outage."""
        self._rows.append(row)
        self.flush()

    def flush(self) -> None:
        """Retry the rows in the queue."""
        while self._rows:
            try:
                self._sink.write(self._rows[0])
            except self._retried as error:
                if self.error is None:
                    _logger.warning(
                        "writing step %d to %s failed (%s): training continues, and its metrics "
                        "are retried with the next step's",
                        self._rows[0].step,
                        self.name,
                        reason(error),
                    )
                self.error = error
                return
            self._rows.popleft()
        self.error = None

    def truncate_after(self, step: int) -> None:
        """Drop rows of later steps."""
        self._rows = deque(row for row in self._rows if row.step <= step)
        if not self._rows:
            self.error = None


def reason(error: Exception) -> str:
    """Return an error's text in one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
