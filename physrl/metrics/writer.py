"""The writer of a run's metrics to its files and other sinks."""

import time
from collections.abc import Sequence
from pathlib import Path

from physrl.errors import DataError
from physrl.metrics.background import Background
from physrl.metrics.backlog import Backlog, reason
from physrl.metrics.event_file import EventFile
from physrl.metrics.lines import MetricsLines
from physrl.metrics.sink import MetricsSink, Row
from physrl.types import Metrics


class MetricsWriter:
    """A writer to `metrics.jsonl` and an event file in a run's folder, and to other sinks.

    A full disk raises no error: rows are kept, and retried in order with the next row.

    Args:
        folder: the run's folder.
        sinks: other sinks, such as trackers; none of them can stop or delay training.
    """

    def __init__(self, folder: Path, sinks: Sequence[MetricsSink] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lines, self._events = MetricsLines(folder), EventFile(folder)
        self._files = [Backlog(sink, retried=OSError) for sink in (self._lines, self._events)]
        self._others = [Background(sink) for sink in sinks]

    def write(self, step: int, metrics: Metrics) -> None:
        """Write a step's metrics; log a warning once per outage."""
        row = Row(step, time.time(), metrics)
        for file in self._files:
            file.write(row)
        for other in self._others:
            other.write(row)

    def truncate_after(self, step: int) -> None:
        """Drop later steps, which a resumed run repeats, and a torn last line.

        Raises:
            DataError: a line is damaged, or the file cannot be written.
        """
        for backlog in self._files:
            backlog.truncate_after(step)
        self._lines.truncate_after(step)
        self._events.truncate_after(step)

    def close(self) -> None:
        """Write the remaining rows, and finish the other sinks.

        Raises:
            DataError: a file still cannot be written.
        """
        for sink in self._others:
            sink.close()
        for backlog in self._files:
            backlog.flush()
        for backlog in self._files:
            if backlog.error is not None:
                raise DataError(
                    f"{backlog.name} cannot be written: {reason(backlog.error)}: the last "
                    f"{len(backlog)} steps are lost; free some space, or set output= to another "
                    "folder"
                )
