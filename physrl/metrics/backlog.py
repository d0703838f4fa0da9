"""Rows that a sink did not take, which are kept until it does."""

import logging
from collections import deque

from physrl.metrics.sink import MetricsSink, Row

_logger = logging.getLogger(__name__)


class Backlog:
    """Hands rows to a sink in order; what the sink refuses is offered again with the next row.

    Args:
        passing: errors that may be over by then; others are raised.
    """

    def __init__(self, sink: MetricsSink, passing: type[Exception]) -> None:
        self.name = sink.name
        self._sink, self._passing = sink, passing
        self._rows: deque[Row] = deque()
        self.error: Exception | None = None
        """Why rows are left; None where none are."""

    def __len__(self) -> int:
        """How many rows are left."""
        return len(self._rows)

    def write(self, row: Row) -> None:
        """Hand on the row, after those that are left; warns once when an outage begins."""
        self._rows.append(row)
        self.flush()

    def flush(self) -> None:
        """Try what is left again."""
        while self._rows:
            try:
                self._sink.write(self._rows[0])
            except self._passing as error:
                if self.error is None:
                    _logger.warning(
                        "%s does not take step %d (%s): training goes on, and its metrics are "
                        "kept and tried again with the next step's",
                        self.name,
                        self._rows[0].step,
                        reason(error),
                    )
                self.error = error
                return
            self._rows.popleft()
        self.error = None

    def truncate_after(self, step: int) -> None:
        """Forget later steps."""
        self._rows = deque(row for row in self._rows if row.step <= step)
        if not self._rows:
            self.error = None


def reason(error: Exception) -> str:
    """An error in one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
