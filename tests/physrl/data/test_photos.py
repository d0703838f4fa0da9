import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import ExifTags
from PIL import Image as PillowImage

from physrl.data.photos import Photo, human_accuracy, load_photos
from physrl.errors import DataError

HEADER = "file,falls,human_falls_fraction,num_human_judgements"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, color in (("a.png", (255, 0, 0)), ("b.png", (0, 0, 255))):
        PillowImage.new("RGB", (6, 4), color).save(tmp_path / name)
    write_labels(tmp_path, HEADER, "a.png,1,0.75,4", "b.png,0,,0")
    return tmp_path


def write_labels(folder: Path, *lines: str) -> None:
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def photo(falls: bool, fraction: float | None) -> Photo:
    return Photo("a.png", falls, fraction, np.zeros((1, 1, 3), np.uint8))


def test_photos_are_loaded_in_order_with_labels_and_pixels(folder: Path) -> None:
    first, second = load_photos(folder)
    assert (first.file, first.falls, first.human_falls_fraction) == ("a.png", True, 0.75)
    assert (second.file, second.falls, second.human_falls_fraction) == ("b.png", False, None)
    assert first.image.shape == (4, 6, 3)
    assert first.image.dtype == np.uint8
    assert first.image[0, 0].tolist() == [255, 0, 0]


def test_human_columns_are_optional(folder: Path) -> None:
    write_labels(folder, "file,falls", "a.png,1")
    assert load_photos(folder)[0].human_falls_fraction is None


def test_grayscale_images_become_rgb(folder: Path) -> None:
    PillowImage.new("L", (2, 2), 9).save(folder / "a.png")
    assert load_photos(folder)[0].image.tolist() == [[[9, 9, 9]] * 2] * 2


def test_images_are_rotated_by_their_exif_orientation(folder: Path) -> None:
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Orientation] = 6  # the top is at the image's right
    image = PillowImage.new("RGB", (6, 4), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 3, 4))
    image.save(folder / "a.png", exif=exif)
    upright = load_photos(folder)[0].image
    assert upright.shape == (6, 4, 3)
    assert upright[:3].reshape(-1, 3).tolist() == [[0, 0, 255]] * 12
    assert upright[3:].reshape(-1, 3).tolist() == [[255, 0, 0]] * 12


@pytest.mark.parametrize(("kind", "ending"), [("uint16", "png"), ("int32", "tif"), ("f4", "tif")])
def test_images_with_more_than_8_bits_are_rejected(folder: Path, kind: str, ending: str) -> None:
    deep = PillowImage.fromarray(np.full((4, 4), 30_000, kind))
    deep.save(folder / f"deep.{ending}")
    write_labels(folder, "file,falls", f"deep.{ending},1")
    with pytest.raises(DataError, match=r"deep\.\w+ .*8 bits"):
        load_photos(folder)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file,human", "a.png,1"], r"labels\.csv .*'falls'"),
        (["name,falls", "a.png,1"], r"labels\.csv .*'file'"),
        ([HEADER], r"labels\.csv"),
        ([HEADER, "a.png,yes,0.5,4"], "line 2: falls is 'yes'"),
        ([HEADER, "a.png"], "line 2: falls is ''"),
        ([HEADER, "a.png,1,0.5,4", "b.png,1,1.5,4"], "line 3: human_falls_fraction is '1.5'"),
        ([HEADER, "a.png,1,many,4"], "human_falls_fraction is 'many'"),
        ([HEADER, "c.png,1,0.5,4"], r"line 2: .*c\.png"),
        ([HEADER, f"{'a' * 300},1,0.5,4"], r"line 2: .*aaa .*File name too long"),
    ],
)
def test_invalid_labels_are_reported_in_one_line(
    folder: Path, lines: list[str], message: str
) -> None:
    write_labels(folder, *lines)
    with pytest.raises(DataError, match=message) as caught:
        load_photos(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere", "/dev/null"])
def test_missing_and_special_files_are_rejected(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name} .*evaluation\.real_images"):
        load_photos(tmp_path / name)


def test_missing_labels_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv"):
        load_photos(tmp_path)


def test_labels_that_are_not_utf8_are_reported(folder: Path) -> None:
    (folder / "labels.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"labels\.csv .*UTF-8"):
        load_photos(folder)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"])
def test_unreadable_images_are_reported(folder: Path, content: bytes) -> None:
    (folder / "b.png").write_bytes(content)
    with pytest.raises(DataError, match=r"b\.png"):
        load_photos(folder)


def test_truncated_images_are_reported(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    PillowImage.fromarray(noise).save(folder / "a.png")
    whole = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.png"):
        load_photos(folder)


def test_human_accuracy() -> None:
    # Correct fractions 0.75, 0.9, 0.25 and, for the tie, 0.5: a tie is not a majority.
    photos = [photo(True, 0.75), photo(False, 0.1), photo(True, 0.25), photo(False, 0.5)]
    people = human_accuracy([*photos, photo(True, None)])
    assert people is not None
    assert (people.majority_correct, people.total) == (2, 4)
    assert people.mean_share == pytest.approx(0.6)


def test_human_accuracy_needs_human_judgments() -> None:
    assert human_accuracy([photo(True, None)]) is None


def png(color: tuple[int, int, int]) -> bytes:
    stream = io.BytesIO()
    PillowImage.new("RGB", (6, 4), color).save(stream, "PNG")
    return stream.getvalue()


RED, BLUE = png((255, 0, 0)), png((0, 0, 255))


def write_table(folder: Path, **columns: list[Any]) -> Path:
    path = folder / "photos.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_photos_are_loaded_from_a_parquet_file(tmp_path: Path) -> None:
    path = write_table(
        tmp_path,
        image=[{"bytes": RED, "path": None}, {"bytes": BLUE, "path": None}],
        falls=[True, False],
        file=["a", None],
        human_falls_fraction=[0.75, None],
        other=[1, 2],
    )
    first, second = load_photos(path)
    assert (first.file, first.falls, first.human_falls_fraction) == ("a", True, 0.75)
    assert (second.file, second.falls, second.human_falls_fraction) == (
        "photos.parquet/1",
        False,
        None,
    )
    assert first.image.shape == (4, 6, 3)
    assert (first.image[0, 0].tolist(), second.image[0, 0].tolist()) == ([255, 0, 0], [0, 0, 255])


def test_answers_and_plain_bytes_are_accepted(tmp_path: Path) -> None:
    path = write_table(tmp_path, image=[RED, BLUE], answer=["Yes", " no "])
    assert [photo.falls for photo in load_photos(path)] == [True, False]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": [RED]}, r"columns image:.*'falls'"),
        ({"falls": [True]}, r"columns falls:.*'image'"),
        ({"image": pa.array([], pa.binary()), "falls": []}, r"photos\.parquet"),
        ({"image": [RED, b"no"], "falls": [1, 0]}, r"row 1: its image"),
        ({"image": [RED[:-30]], "falls": [1]}, r"row 0: its image"),
        ({"image": ["a.png"], "falls": [1]}, r"row 0: image .*bytes"),
        ({"image": [RED], "falls": [2]}, r"row 0: falls is '2'"),
        ({"image": [RED], "answer": ["maybe"]}, r"row 0: answer is 'maybe'"),
        ({"image": [RED], "answer": pa.array([None], pa.string())}, "row 0: answer is 'None'"),
        (
            {"image": [RED], "falls": [1], "human_falls_fraction": [1.5]},
            r"row 0: human_falls_fraction is '1.5'",
        ),
    ],
)
def test_invalid_tables_are_reported_in_one_line(
    tmp_path: Path, columns: dict[str, list[Any]], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_photos(write_table(tmp_path, **columns))
    assert "\n" not in str(caught.value)


def test_truncated_tables_are_reported(tmp_path: Path) -> None:
    path = write_table(tmp_path, image=[RED], falls=[True])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"photos\.parquet") as caught:
        load_photos(path)
    assert "\n" not in str(caught.value)
