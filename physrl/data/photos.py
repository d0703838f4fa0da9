"""Photographs of real towers with labels: a folder with labels.csv."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from physrl.config.run import RunConfig
from physrl.errors import DataError
from physrl.types import Image

LABELS = "labels.csv"
REQUIRED = ("file", "falls")
HUMAN = "human_falls_fraction"


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


def load_photos(folder: Path) -> tuple[Photo, ...]:
    """The photographs of a folder, in the order of its labels.csv.

    labels.csv has the columns `file`, `falls` (0 or 1) and, optionally, `human_falls_fraction`
    (0 to 1); other columns are ignored.

    Raises:
        DataError: the folder, the labels, a column, a value or a picture is missing or wrong.
    """
    if not folder.is_dir():
        raise DataError(f"photo folder {folder} does not exist: check evaluation.real_images")
    return tuple(_load_photo(folder, line, row) for line, row in _read_labels(folder / LABELS))


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
    if not path.is_file():
        raise DataError(f"{where}: {path} is missing: add the file or remove the line")
    try:
        with PillowImage.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError):
        raise DataError(f"{path} is not a readable picture: save it as PNG or JPEG") from None
