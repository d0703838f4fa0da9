"""Photographs and labels as cameras, spreadsheets and other tools write them."""

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from physrl.data.labels import read_labels
from physrl.data.photo_image import decode_photo
from physrl.data.photos import load_photos
from physrl.errors import DataError
from tests.support.damage import damaged, refusal

FORMATS = (
    "PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "ICO", "JPEG2000", "AVIF", "PCX", "TGA", "PPM",
    "DDS", "ICNS", "MPO", "SGI", "IM", "MSP", "XBM", "QOI",
)  # fmt: skip
AVIF = Path(__file__).parents[4] / "shared" / "hunted" / "damaged-avif" / "photos"


def encode(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    mode = "1" if kind in ("MSP", "XBM") else "RGB"
    pixels = np.random.default_rng(1).integers(0, 255, (24, 32, 3), np.uint8)
    PillowImage.fromarray(pixels).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.filterwarnings("ignore:IM image format")
def test_hunted_damaged_image_is_read_or_refused_by_name(kind: str) -> None:
    original, draw = encode(kind), random.Random(kind)
    assert decode_photo(original, "a").shape[2] == 3
    for _ in range(20 if kind == "ICNS" else 150):
        line = refusal(decode_photo, damaged(original, draw), "a.jpg")
        assert line is None or line.startswith("a.jpg ")


def test_hunted_avif_that_failed() -> None:
    if not AVIF.is_dir():
        pytest.skip(f"{AVIF} is not on this machine")
    with pytest.raises(DataError, match=r"a\.avif"):
        load_photos(AVIF)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGBA", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("P", "GIF"), ("RGBA", "WEBP"), ("L", "PNG"),
     ("RGBA", "TIFF"), ("RGB", "PNG"), ("1", "PNG")],
)  # fmt: skip
def test_hunted_transparent_pixels_become_white(mode: str, kind: str) -> None:
    gray = np.full((8, 8, 4), (0, 0, 0, 0), np.uint8)
    gray[4:] = (90, 90, 90, 255)
    image, options = PillowImage.fromarray(gray).convert(mode), {}
    if mode in ("P", "L", "RGB", "1"):
        image = PillowImage.fromarray(gray[..., 0]).convert(mode)
        options = {"transparency": {"RGB": (0, 0, 0)}.get(mode, 0)}
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    pixels = decode_photo(stream.getvalue(), "a")
    assert pixels[:4].min() >= 250  # WEBP loses a little
    if mode != "1":
        assert abs(int(pixels[6, 4, 0]) - 90) <= 2


def test_hunted_half_transparent_pixels_are_mixed_with_white() -> None:
    stream = io.BytesIO()
    PillowImage.new("RGBA", (2, 2), (0, 0, 0, 51)).save(stream, "PNG")
    assert decode_photo(stream.getvalue(), "a").tolist() == [[[204] * 3] * 2] * 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("labels")


NAMES = st.text("abc .;-|'é,\t\"", min_size=1, max_size=12).filter(
    lambda name: name == name.strip() and not set(name) <= set('"')
)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(NAMES, st.sampled_from("01")), min_size=1, max_size=5),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["", " "]),
    st.sampled_from(["", "\n", "sep"]),
)
def test_hunted_labels_are_read_in_every_dialect(
    folder: Path,
    rows: list[tuple[str, str]],
    delimiter: str,
    newline: str,
    encoding: str,
    space: str,
    before: str,
) -> None:
    lines = [f"file{delimiter}{space}falls"]
    for name, falls in rows:
        quoted = '"' + name.replace('"', '""') + '"'
        lines.append(f"{quoted}{delimiter}{space}{falls}{space}")
    first = f"sep={delimiter}\n" if before == "sep" else before
    text = (first + "\n".join(lines) + "\n").replace("\n", newline)
    path = folder / "labels.csv"
    path.write_bytes(text.encode(encoding))
    assert [(row.values["file"], row.values["falls"]) for row in read_labels(path)] == rows


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("file,falls\na.png,1,junk\n", "line 2"),
        ("file,falls,falls\na.png,1,0\n", "'falls'"),
        ("name;falls\na.png;1\n", "name, falls"),
        ("file falls\na.png 1\n", "file falls"),
        ("file,falls\na.png,1\na.png,0\n", "lines 2 and 3"),
        ('file,falls\n"a.png,1\n', "labels.csv"),
        ("\n\n", "nothing"),
        ("file,falls\n\x00,1\n", "line 2"),
    ],
)
def test_hunted_labels_that_mean_two_things_are_refused(
    tmp_path: Path, text: str, named: str
) -> None:
    (tmp_path / "a.png").write_bytes(encode("PNG"))
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        load_photos(tmp_path)
    assert named in str(caught.value)


def test_hunted_labels_with_a_windows_path(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.png").write_bytes(encode("PNG"))
    (tmp_path / "labels.csv").write_text("file;falls\nsub\\a.png;1\n")
    assert load_photos(tmp_path)[0].falls


@given(st.binary(max_size=200))
def test_hunted_labels_of_any_bytes_raise_nothing_else(folder: Path, data: bytes) -> None:
    path = folder / "labels.csv"
    path.write_bytes(b"file,falls\n" + data)
    line = refusal(read_labels, path)
    assert line is None or str(path) in line
