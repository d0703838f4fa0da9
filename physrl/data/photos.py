"""Photographs of real towers with labels: a folder with labels.csv, or a Parquet file."""

import csv
import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image as PillowImage
from PIL import ImageOps

from physrl.config.run import RunConfig
from physrl.errors import DataError
from physrl.types import Image

LABELS = "labels.csv"
REQUIRED = ("file", "falls")
HUMAN = "human_falls_fraction"
NAMES = ("file", "scene_id")
"""Columns of a Parquet file that may say what a photograph is called."""
DEEP = ("I", "F")
"""What Pillow's modes begin with whose values it would cut, not scale, to 8 bits."""
KNOWN = ("image", "falls", "answer", HUMAN, *NAMES)


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph of a tower, and what happened when it was let go."""

    file: str
    falls: bool
    human_falls_fraction: float | None
    """Share of the human judges who said that it would fall, if any were asked."""
    image: Image


@dataclass(frozen=True, slots=True)
class HumanAccuracy:
    """How well people judged the photographs that people were asked about."""

    majority_correct: int
    """Photographs that more than half of the judges judged rightly."""
    total: int
    mean_share: float
    """Share of right judgements, averaged over the photographs."""


def load_photos(path: Path) -> tuple[Photo, ...]:
    """The photographs of a folder, in the order of its labels.csv, or of a Parquet file's rows.

    labels.csv has the columns `file`, `falls` (0 or 1) and, optionally, `human_falls_fraction`
    (0 to 1). A Parquet file has `image` (encoded bytes, or a struct with `bytes`), `falls` (true or
    false, 1 or 0) or `answer` (Yes or No) and, optionally, `file` or `scene_id` and
    `human_falls_fraction`. Other columns are ignored.

    Raises:
        DataError: the path, the labels, a column, a value or a picture is missing or wrong.
    """
    if path.is_file():
        return _load_table(path)
    if not path.exists():
        raise DataError(f"photo folder {path} does not exist: check evaluation.real_images")
    if not path.is_dir():
        raise DataError(
            f"{path} is neither a folder nor a Parquet file: check evaluation.real_images"
        )
    return tuple(_load_photo(path, line, row) for line, row in _read_labels(path / LABELS))


def load_configured_photos(config: RunConfig) -> tuple[Photo, ...]:
    """The photographs that a run is evaluated on; none if none are configured.

    Raises:
        DataError: as `load_photos`.
    """
    folder = config.evaluation.real_images
    return () if folder is None else load_photos(folder)


def human_accuracy(photos: Sequence[Photo]) -> HumanAccuracy | None:
    """How many photographs people judged rightly; None if people were asked about none."""
    shares = [
        photo.human_falls_fraction if photo.falls else 1 - photo.human_falls_fraction
        for photo in photos
        if photo.human_falls_fraction is not None
    ]
    if not shares:
        return None
    correct = sum(share > 0.5 for share in shares)
    return HumanAccuracy(correct, len(shares), sum(shares) / len(shares))


def _read_labels(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows with their line numbers."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restval="")
            rows = [(reader.line_num, row) for row in reader]
    except FileNotFoundError:
        raise DataError(f"{path} is missing: write one with columns file,falls") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}: save it as UTF-8 CSV") from None
    for column in REQUIRED:
        if column not in (reader.fieldnames or ()):
            raise DataError(f"{path} has no column '{column}': add it to the first line")
    if not rows:
        raise DataError(f"{path} labels no photograph: add a line for each")
    return rows


def _load_photo(folder: Path, line: int, row: dict[str, str]) -> Photo:
    where = f"{folder / LABELS} line {line}"
    if row["falls"] not in ("0", "1"):
        raise DataError(f"{where}: falls is '{row['falls']}': write 1 (it fell) or 0 (it stood)")
    return Photo(
        file=row["file"],
        falls=row["falls"] == "1",
        human_falls_fraction=_fraction(row.get(HUMAN, ""), where),
        image=_read_image(folder / row["file"], where),
    )


def _load_table(path: Path) -> tuple[Photo, ...]:
    try:
        file = pq.ParquetFile(path)
        columns = [name for name in file.schema_arrow.names if name in KNOWN]
        rows = file.read(columns=columns).to_pylist()
    except (OSError, pa.ArrowException) as error:
        line = " ".join(str(error).split())
        raise DataError(f"{path} is not a readable Parquet file ({line}): write it anew") from None
    if "image" not in columns or not {"falls", "answer"} & set(columns):
        raise DataError(
            f"{path} has the columns {', '.join(file.schema_arrow.names)}: photographs need "
            "'image', and 'falls' or 'answer'"
        )
    if not rows:
        raise DataError(f"{path} holds no photograph: add a row for each")
    return tuple(_load_row(path, number, row) for number, row in enumerate(rows))


def _load_row(path: Path, number: int, row: dict[str, Any]) -> Photo:
    where = f"{path} row {number}"
    image = row["image"]
    data = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(data, bytes):
        raise DataError(f"{where}: image holds no bytes: embed the encoded picture itself")
    fraction = row.get(HUMAN)
    return Photo(
        file=next((str(row[name]) for name in NAMES if row.get(name)), f"{path.name}/{number}"),
        falls=_falls(row, where),
        human_falls_fraction=_fraction("" if fraction is None else str(fraction), where),
        image=_decode(io.BytesIO(data), f"{where}: its image"),
    )


def _falls(row: dict[str, Any], where: str) -> bool:
    falls, answer = row.get("falls"), row.get("answer")
    if falls in (0, 1):
        return bool(falls)
    if falls is not None:
        raise DataError(f"{where}: falls is '{falls}': write true (it fell) or false (it stood)")
    verdict = None if answer is None else str(answer).strip().lower()
    if verdict not in ("yes", "no"):
        raise DataError(f"{where}: answer is '{answer}': write Yes (it fell) or No (it stood)")
    return verdict == "yes"


def _fraction(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        fraction = float(text)
    except ValueError:
        fraction = float("nan")
    if not 0 <= fraction <= 1:
        raise DataError(f"{where}: {HUMAN} is '{text}': write a number from 0 to 1, or nothing")
    return fraction


def _read_image(path: Path, where: str) -> Image:
    try:
        there = path.is_file()
    except OSError as error:
        raise DataError(f"{where}: {path} cannot be read: {error.strerror}") from None
    if not there:
        raise DataError(f"{where}: {path} is missing: add the file or remove the line")
    return _decode(path, str(path))


def _decode(source: Path | io.BytesIO, what: str) -> Image:
    try:
        with PillowImage.open(source) as picture:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith(DEEP):
                raise DataError(f"{what} has more than 8 bits a colour: save it with 8 bits")
            return np.asarray(upright.convert("RGB"))
    except (OSError, ValueError, SyntaxError, struct.error, PillowImage.DecompressionBombError):
        raise DataError(f"{what} is not a readable picture: save it as PNG or JPEG") from None
