"""The file `metrics.jsonl`, with one line per step."""

import json
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from physrl.errors import DataError, reason_of
from physrl.metrics.appending import append
from physrl.metrics.sink import Row

FILE = "metrics.jsonl"


class MetricsLines:
    """A sink that appends `{"step", "time", ...}`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.name = str(self._path)

    def write(self, row: Row) -> None:
        line = json.dumps({"step": row.step, "time": row.time, **row.metrics})
        append(self._path, f"{line}\n".encode())

    def truncate_after(self, step: int) -> None:
        """Truncate later steps and a torn last line, in place, which a full disk does not prevent.

        Raises:
            DataError: a line is damaged, or the file cannot be written.
        """
        rows = read_metrics(self._path.parent)
        if not self._path.exists():
            return
        kept = sum(row["step"] <= step for row in rows)
        lines = self._path.read_bytes().split(b"\n")
        try:
            with self._path.open("r+b") as stream:
                stream.truncate(sum(len(line) + 1 for line in lines[:kept]))
        except OSError as error:
            raise DataError(
                f"{self._path} cannot be written: {error.strerror or error}: set output= to "
                "another folder"
            ) from None

    def close(self) -> None:
        """Do nothing: every line is already in the file."""


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Read the rows of a run's metrics.jsonl in order; empty if nothing was written yet.

    Skips a torn last line of a killed writer.

    Raises:
        DataError: a line is not valid JSON; names it.
    """
    path = folder / FILE
    if not path.exists():
        return []
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason_of(error)}: check it") from None
    return parse_metrics(data, str(path))


def parse_metrics(data: bytes, name: str) -> list[dict[str, Any]]:
    """Parse the content of a metrics.jsonl, without a torn last line.

    Args:
        name: path of the file, for errors.

    Raises:
        DataError: a line is not valid JSON; names it.
    """
    rows = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            row = dict(from_json(line))
            int(row["step"])
            rows.append(row)
        except (ValueError, TypeError, KeyError, OverflowError):
            raise DataError(f"{name} line {number} is damaged: remove the line") from None
    return rows
