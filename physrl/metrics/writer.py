"""One writer a run: files in its folder, and whoever else is told."""

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
    """Appends to `metrics.jsonl` and to an event file of a run's folder, and tells other sinks.

    A full disk ends nothing: rows are kept, and written in order with the next that can be.

    Args:
        sinks: who else is told, such as a tracking server; none of them can end or slow training.
    """

    def __init__(self, folder: Path, sinks: Sequence[MetricsSink] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lines, self._events = MetricsLines(folder), EventFile(folder)
        self._files = [Backlog(sink, passing=OSError) for sink in (self._lines, self._events)]
        self._others = [Background(sink) for sink in sinks]

    def write(self, step: int, metrics: Metrics) -> None:
        """Take a step's metrics; warns once when a file cannot be written."""
        row = Row(step, time.time(), metrics)
        for file in self._files:
            file.write(row)
        for other in self._others:
            other.write(row)

    def truncate_after(self, step: int) -> None:
        """Forget later steps and a torn last line: a resumed run does these steps again.

        Raises:
            DataError: a line is damaged, or the file cannot be written.
        """
        for backlog in self._files:
            backlog.truncate_after(step)
        self._lines.truncate_after(step)
        self._events.truncate_after(step)

    def close(self) -> None:
        """Write and send what is left.

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
