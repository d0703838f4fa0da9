"""A run's metrics: JSON lines for programs, event files for TensorBoard."""

import json
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from physrl.errors import DataError
from physrl.types import Metrics

FILE = "metrics.jsonl"


class MetricsWriter:
    """Appends to a run's folder; one writer a run."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._events = EventFileWriter(str(folder))

    def write(self, step: int, metrics: Metrics) -> None:
        """Append a step's metrics, with the wall-clock time in seconds since 1970.

        Raises:
            DataError: the file cannot be written.
        """
        now = time.time()
        line = json.dumps({"step": step, "time": now, **metrics})
        path = self._folder / FILE
        try:
            with path.open("a") as stream:
                stream.write(line + "\n")
        except OSError as error:
            raise DataError(
                f"{path} cannot be written: {error.strerror or error}: free some space, or set "
                "output= to another folder"
            ) from None
        scalars = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
        self._events.add_event(Event(wall_time=now, step=step, summary=Summary(value=scalars)))
        self._events.flush()

    def truncate_after(self, step: int) -> None:
        """Forget later steps and a torn last line: a resumed run does these steps again."""
        rows = [row for row in read_metrics(self._folder) if row["step"] <= step]
        partial = self._folder / f".{FILE}"
        partial.write_text("".join(json.dumps(row) + "\n" for row in rows))
        partial.replace(self._folder / FILE)
        # TensorBoard drops what older files say of steps from this one on.
        start = SessionLog(status=SessionLog.START)
        self._events.add_event(Event(wall_time=time.time(), step=step + 1, session_log=start))
        self._events.flush()

    def close(self) -> None:
        """Flush and close the event file."""
        self._events.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl in order; none if nothing was written yet.

    A last line that a killed writer left torn is passed over.

    Raises:
        DataError: a line is not valid; names it.
    """
    path = folder / FILE
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    rows = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            rows.append(dict(json.loads(line)))
        except (ValueError, TypeError):
            raise DataError(f"{path} line {number} is damaged: remove the line") from None
    return rows
