"""Event files for TensorBoard, written without TensorFlow and without a thread."""

import io
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from physrl.metrics.appending import append
from physrl.metrics.sink import Row


class EventFile:
    """A sink that writes scalars to a new event file, which TensorBoard reads after older ones."""

    def __init__(self, folder: Path) -> None:
        self._path = _new_path(folder)
        self.name = str(self._path)
        self._head = [_first_event()]
        """Events to write before the next row."""

    def write(self, row: Row) -> None:
        scalars = [Summary.Value(tag=name, simple_value=v) for name, v in row.metrics.items()]
        event = Event(wall_time=row.time, step=row.step, summary=Summary(value=scalars))
        append(self._path, _records([*self._head, event]))
        self._head = []

    def truncate_after(self, step: int) -> None:
        """Make TensorBoard drop later steps of older files, once the next row is written."""
        start = SessionLog(status=SessionLog.START)
        self._head.append(Event(wall_time=time.time(), step=step + 1, session_log=start))

    def close(self) -> None:
        """Do nothing: every row is already in the file."""


def write_hyperparameters(folder: Path, name: str, values: Mapping[str, str | float]) -> None:
    """Write the row of a run in TensorBoard's HParams tab, in an event file of its own.

    Args:
        folder: the run's folder.
        name: name of the row.
    """
    summary = hparams_pb(dict(values), trial_id=name)
    events = [_first_event(), Event(wall_time=time.time(), summary=summary)]
    append(_new_path(folder), _records(events))


def _new_path(folder: Path) -> Path:
    """Name a new event file; TensorBoard reads files in the order of their names."""
    seconds, rest = divmod(time.time_ns(), 10**9)
    writer = f"{seconds:010d}.{rest:09d}.{socket.gethostname()}.{os.getpid()}"
    return folder / f"events.out.tfevents.{writer}"


def _first_event() -> Event:
    return Event(wall_time=time.time(), file_version="brain.Event:2")


def _records(events: list[Event]) -> bytes:
    stream = io.BytesIO()
    writer = RecordWriter(stream)
    for event in events:
        writer.write(event.SerializeToString())
    return stream.getvalue()
