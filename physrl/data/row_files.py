"""Files of rows: Parquet, Arrow as the `datasets` library saves it, or JSON lines.

Rows stay as they are stored, images compressed; a file on this machine is mapped into memory.
"""

from codecs import BOM_UTF8
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from physrl.config.questions import QuestionsConfig
from physrl.errors import DataError, boundary
from physrl.json_text import parse_object
from physrl.storage.object_store import ObjectStore
from physrl.types import JSON

COLUMN_KEYS = ("image", "question", "answer")
"""Keys of the configuration that name columns."""


@dataclass(frozen=True, slots=True)
class Row:
    """A question with its reference answer; the image is decoded by `QuestionRows.image`."""

    name: str
    """File and number in it, for messages."""
    question: str
    answer: str
    others: tuple[str, ...]
    """Other answers that are right too."""
    image: Any
    """Value of the image's column."""
    folder: str
    """Folder of the file, in which the image may be."""


class RowFile:
    """The rows of one file."""

    def __init__(self, store: ObjectStore, key: str, config: QuestionsConfig) -> None:
        """Open a file.

        Raises:
            DataError: it is not readable, or lacks a column.
        """
        self._config = config
        self.name = f"{store.location}/{key}"
        self._columns = (config.image, config.question, config.answer)
        self._folder = key.rpartition("/")[0]
        wrong = f"{self.name} is not a readable {key.rpartition('.')[2]} file"
        with boundary(DataError, wrong, "replace it"):
            self._table = _open_table(store, key, list(dict.fromkeys(self._columns)))
        there = self._table.column_names
        if missing := [name for name in self._columns if name not in there]:
            key = next(each for each in COLUMN_KEYS if getattr(config, each) == missing[0])
            raise DataError(
                f"{self.name} has no column '{missing[0]}' but {', '.join(there) or 'none'}: set "
                f"data.{key} to one of them"
            )
        with boundary(DataError, wrong, "replace it"):
            self._labels = _label_names(self._table.schema, config.answer)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def row(self, place: int) -> Row:
        """Return a row by its number.

        Raises:
            DataError: its question or answer is missing; the message names it.
        """
        name = f"{self.name} row {place}"
        with boundary(DataError, f"{name} is not readable", "replace the file"):
            (values,) = self._table.slice(place, 1).to_pylist()
        image, question, answer = (values[column] for column in self._columns)
        if not isinstance(question, str) or not question.strip():
            raise DataError(
                f"{name}: column '{self._config.question}' is {question!r}: write a question"
            )
        listed = answer if isinstance(answer, list) and answer else [answer]
        first, *others = dict.fromkeys(self._answer_text(name, each) for each in listed)
        return Row(name, question.strip(), first, tuple(others), image, self._folder)

    def _answer_text(self, name: str, answer: Any) -> str:
        if isinstance(answer, bool):
            return "Yes" if answer else "No"
        if self._labels and isinstance(answer, int):
            if not 0 <= answer < len(self._labels):
                raise DataError(
                    f"{name}: column '{self._config.answer}' is {answer}, but there are "
                    f"{len(self._labels)} names of labels: replace the file"
                )
            answer = self._labels[answer]
        if isinstance(answer, int) or (isinstance(answer, float) and np.isfinite(answer)):
            return f"{answer:.15g}" if isinstance(answer, float) else str(answer)
        if not isinstance(answer, str) or not answer.strip():
            raise DataError(
                f"{name}: column '{self._config.answer}' is {answer!r}: write a text, a number, "
                "true or false, or a list of these"
            )
        return answer.strip()


def _open_table(store: ObjectStore, key: str, columns: Sequence[str]) -> pa.Table:
    """Return the columns of a file; without its rows if one is missing."""
    local = Path(store.location) / key
    source = pa.memory_map(str(local)) if local.is_file() else pa.BufferReader(store.get(key))
    if key.endswith(".parquet"):
        file = pq.ParquetFile(source)
        complete = set(columns) <= set(file.schema_arrow.names)
        table = file.read(columns) if complete else file.schema_arrow.empty_table()
    else:
        arrow = key.endswith(".arrow")
        table = _open_arrow(source) if arrow else _read_lines(source.read(), columns)
        complete = set(columns) <= set(table.column_names)
    table.validate(full=True)  # else a damaged file ends the process when a row is read
    return table.select(columns) if complete else table


def _open_arrow(source: pa.NativeFile) -> pa.Table:
    """Read a stream, as `datasets` writes it, or a file, as others do."""
    try:
        return pa.ipc.open_stream(source).read_all()
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_file(source).read_all()


def _read_lines(data: bytes, columns: Sequence[str]) -> pa.Table:
    """Read columns of JSON lines; pyarrow's own reader ends the process on some damaged ones.

    Other columns may hold anything. Without its rows if a column is missing.
    """
    rows = [
        _parse_line(number, line)
        for number, line in enumerate(data.removeprefix(BOM_UTF8).splitlines(), start=1)
        if line.strip()
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    if not set(columns) <= names.keys():
        return pa.table({name: [] for name in names})
    return pa.table({name: _column(name, [row.get(name) for row in rows]) for name in columns})


def _parse_line(number: int, line: bytes) -> JSON:
    try:
        return parse_object(line)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None


def _column(name: str, values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError) as error:
        raise ValueError(f"column '{name}': {error}") from None


def _label_names(schema: pa.Schema, column: str) -> list[str]:
    """Return the names that `datasets` notes of a column of class labels; none of others."""
    noted = (schema.metadata or {}).get(b"huggingface")
    if noted is None:
        return []
    feature = parse_object(noted).get("info", {}).get("features", {}).get(column)
    names = feature.get("names") if isinstance(feature, dict) else None
    return [str(name) for name in names] if isinstance(names, list) else []
