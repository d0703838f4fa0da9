"""The table labels.csv beside photographs, in any of the dialects that spreadsheets write."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from physrl.errors import DataError, boundary

LABELS = "labels.csv"
REQUIRED_COLUMNS = ("file", "falls")
DELIMITERS = (",", ";", "\t", "|")
"""Separators of columns; spreadsheets write `;` where the comma is the decimal sign."""
ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Encodings by the first two bytes; others are UTF-8, with or without a byte order mark."""

Line = tuple[int, list[str]]
"""A line's number, and its values in order."""


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A row of the table: its line number, and its values by column name."""

    line: int
    values: dict[str, str]


def read_labels(path: Path) -> list[LabelRow]:
    """Read the rows of a table with the columns `file` and `falls`.

    Raises:
        DataError: as `read_table`, or the file lacks a column or has no rows.
    """
    columns, rows = read_table(path)
    for column in REQUIRED_COLUMNS:
        if column not in columns:
            raise DataError(
                f"{path} has no column '{column}' but {', '.join(columns) or 'nothing'}: name it "
                "in the first line"
            )
    if not rows:
        raise DataError(f"{path} has no rows: add a line for each photograph")
    return rows


def read_table(path: Path) -> tuple[list[str], list[LabelRow]]:
    """Read the names of columns, and the rows; spaces around names and values are ignored.

    Raises:
        DataError: the file is missing, is not text, has a column twice, or a row has more values
            than the first line has names.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} is missing: create it with columns file,falls") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}: check it") from None
    with boundary(DataError, f"{path} cannot be read", "save it as CSV in UTF-8"):
        text = data.decode(ENCODINGS.get(data[:2], "utf-8-sig"))
        lines = _split(text)
    columns = lines[0][1] if lines else []
    for column in columns:
        if column and columns.count(column) > 1:
            raise DataError(f"{path} has two columns '{column}': remove one")
    return columns, [_row(path, columns, each) for each in lines[1:]]


def _split(text: str) -> list[Line]:
    """Split the text into lines of values, without blank lines."""
    first = next((line.strip(" ") for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    stated = first.lower() in {f"sep={each}" for each in DELIMITERS}  # Excel's own first line
    stream = io.StringIO(text, newline=None)
    reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True, strict=True)
    values = ((reader.line_num, [value.strip() for value in row]) for row in reader)
    return [line for line in values if any(line[1])][1 if stated else 0 :]


def _row(path: Path, columns: list[str], line: Line) -> LabelRow:
    number, values = line
    if any(values[len(columns) :]):
        raise DataError(
            f"{path} line {number} has {len(values)} values for {len(columns)} columns: quote "
            "values that contain the separator"
        )
    filled = [*values, *[""] * (len(columns) - len(values))]
    return LabelRow(number, dict(zip(columns, filled, strict=False)))
