"""Labeled photographs of real towers, from a folder with labels.csv or from a Parquet file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from physrl.config.run import RunConfig
from physrl.data.labels import LABELS, LabelRow, read_labels
from physrl.data.photo_image import decode_photo
from physrl.data.tower_lists import ListedTower, holds_lists, read_list
from physrl.errors import DataError, boundary, reason_of
from physrl.types import Image

HUMAN_COLUMN = "human_falls_fraction"
NAME_COLUMNS = ("file", "scene_id")
"""Columns of a Parquet file that may hold the name of a photograph, by priority."""
KNOWN_COLUMNS = ("image", "falls", "answer", HUMAN_COLUMN, *NAME_COLUMNS)


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph of a tower, labeled with what happened when it was released."""

    file: str
    falls: bool
    human_falls_fraction: float | None
    """Fraction of human judges who predicted a fall; None without human judgments."""
    image: Image


@dataclass(frozen=True, slots=True)
class HumanAccuracy:
    """Human accuracy on the photographs that have human judgments."""

    majority_correct: int
    """Number of photographs that more than half of the judges got right."""
    total: int
    mean_share: float
    """Fraction of correct judgments, averaged over the photographs."""


def load_photos(path: Path) -> tuple[Photo, ...]:
    """Load photographs, in the order of labels.csv or of the Parquet file's rows.

    labels.csv has the columns `file`, `falls` (0 or 1) and, optionally, `human_falls_fraction`
    (0 to 1). A Parquet file has `image` (encoded bytes, or a struct with `bytes`), `falls` (true or
    false, 1 or 0) or `answer` (Yes or No) and, optionally, `file` or `scene_id` and
    `human_falls_fraction`. Other columns are ignored. Towers of others lie in folders with lists
    (`physrl.data.tower_lists`), of which one may be named.

    Raises:
        DataError: the path, the labels, a column, a value or an image is missing or invalid.
    """
    if holds_lists(path) and not (path / LABELS).exists():
        return tuple(_load_listed(tower) for tower in read_list(path))
    if path.is_file():
        return _load_table(path)
    if not path.exists():
        raise DataError(f"photo folder {path} does not exist: check evaluation.real_images")
    if not path.is_dir():
        raise DataError(
            f"{path} is neither a folder nor a Parquet file: check evaluation.real_images"
        )
    rows = read_labels(path / LABELS)
    _refuse_repeated(path, rows)
    return tuple(_load_photo(path, row) for row in rows)


def _load_listed(tower: ListedTower) -> Photo:
    return Photo(tower.name, tower.falls, None, read_image(tower.path))


def load_configured_photos(config: RunConfig) -> tuple[Photo, ...]:
    """Load the photographs that a run is evaluated on; an empty tuple without configured ones.

    Raises:
        DataError: see `load_photos`.
    """
    folder = config.evaluation.real_images
    return () if folder is None else load_photos(folder)


def human_accuracy(photos: Sequence[Photo]) -> HumanAccuracy | None:
    """Compute the accuracy of human judgments; None if there are none."""
    shares = [
        photo.human_falls_fraction if photo.falls else 1 - photo.human_falls_fraction
        for photo in photos
        if photo.human_falls_fraction is not None
    ]
    if not shares:
        return None
    correct = sum(share > 0.5 for share in shares)
    return HumanAccuracy(correct, len(shares), sum(shares) / len(shares))


def _refuse_repeated(folder: Path, rows: Sequence[LabelRow]) -> None:
    """Refuse a photograph with two labels, which would count twice."""
    lines: dict[str, int] = {}
    for row in rows:
        name = row.values["file"]
        if name in lines:
            raise DataError(
                f"{folder / LABELS} names {name} in lines {lines[name]} and {row.line}: remove one"
            )
        lines[name] = row.line


def _load_photo(folder: Path, row: LabelRow) -> Photo:
    location, values = f"{folder / LABELS} line {row.line}", row.values
    if values["falls"] not in ("0", "1"):
        raise DataError(
            f"{location}: falls is '{values['falls']}': use 1 (it fell) or 0 (it stood)"
        )
    return Photo(
        file=values["file"],
        falls=values["falls"] == "1",
        human_falls_fraction=_fraction(values.get(HUMAN_COLUMN, ""), location),
        image=_read_image(_find(folder, values["file"]), location),
    )


def _find(folder: Path, name: str) -> Path:
    """Return the path of a file whose name may have been written on Windows."""
    found = folder / name.replace("\\", "/")
    return found if "\\" in name and found.is_file() else folder / name


def _load_table(path: Path) -> tuple[Photo, ...]:
    with boundary(DataError, f"{path} is not a readable Parquet file", "replace it"):
        file = pq.ParquetFile(path)
        columns = [name for name in file.schema_arrow.names if name in KNOWN_COLUMNS]
        rows = file.read(columns=columns).to_pylist()
    if "image" not in columns or not {"falls", "answer"} & set(columns):
        raise DataError(
            f"{path} has the columns {', '.join(file.schema_arrow.names)}: photographs need "
            "'image', and 'falls' or 'answer'"
        )
    if not rows:
        raise DataError(f"{path} has no rows: add a row for each photograph")
    return tuple(_load_row(path, number, row) for number, row in enumerate(rows))


def _load_row(path: Path, number: int, row: dict[str, Any]) -> Photo:
    location = f"{path} row {number}"
    image = row["image"]
    data = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(data, bytes):
        raise DataError(f"{location}: image has no bytes: embed the encoded image itself")
    fraction = row.get(HUMAN_COLUMN)
    names = (str(row[name]) for name in NAME_COLUMNS if row.get(name))
    return Photo(
        file=next(names, f"{path.name}/{number}"),
        falls=_falls(row, location),
        human_falls_fraction=_fraction("" if fraction is None else str(fraction), location),
        image=decode_photo(data, f"{location}: its image"),
    )


def _falls(row: dict[str, Any], location: str) -> bool:
    falls, answer = row.get("falls"), row.get("answer")
    if falls in (0, 1):
        return bool(falls)
    if falls is not None:
        raise DataError(f"{location}: falls is '{falls}': use true (it fell) or false (it stood)")
    verdict = None if answer is None else str(answer).strip().lower()
    if verdict not in ("yes", "no"):
        raise DataError(f"{location}: answer is '{answer}': use Yes (it fell) or No (it stood)")
    return verdict == "yes"


def _fraction(text: str, location: str) -> float | None:
    if not text:
        return None
    try:
        fraction = float(text)
    except ValueError:
        fraction = float("nan")
    if not 0 <= fraction <= 1:
        raise DataError(
            f"{location}: {HUMAN_COLUMN} is '{text}': use a number from 0 to 1, or leave it empty"
        )
    return fraction


def _read_image(path: Path, location: str) -> Image:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, ValueError):  # ValueError: a NUL in the name
        raise DataError(f"{location}: {path} is missing: add it or remove the line") from None
    except OSError as error:
        raise DataError(f"{location}: {path} cannot be read: {error.strerror}") from None
    return decode_photo(data, str(path))


def read_image(path: Path) -> Image:
    """Read an image in any format that photographs may have.

    Raises:
        DataError: it is missing or not readable.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason_of(error)}: name a PNG or JPEG") from None
    return decode_photo(data, str(path))
