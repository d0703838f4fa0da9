"""Damaged JSON lines are refused, and pyarrow's own JSON reader, which some crash, is banned.

`pyarrow.json.read_json` ended the process with a segmentation fault on lines like those here.
"""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from physrl.config.questions import QuestionsConfig
from physrl.data.questions import QuestionRows
from physrl.errors import DataError
from physrl.types import Split
from tests.support.damage import damaged, damaged_text, refusal
from tests.support.own_images import png
from tests.support.paths import ROOT

ROWS = [{"image": f"{n}.png", "question": f"Is it {n}?", "answer": n} for n in range(4)]
LINES = "\n".join(map(json.dumps, ROWS)).encode()
FIRST, _, REST = LINES.partition(b"\n")
CRASHED = {
    "null before the first row": b"null" + FIRST[1:] + b"\n" + REST,
    "null row": b"null\n" + LINES,
    "two values in a row": b'null"image": ' + LINES,
    "quotes twice": b"null" + FIRST[1:] + b"\n" + REST.replace(b'"1.png', b'""1.png'),
    "deep row": b'{"a":' * 2000 + LINES,
    "rows in a list": b"[" + LINES.replace(b"\n", b",") + b"]",
}


def read(folder: Path, data: bytes) -> None:
    (folder / "metadata.jsonl").write_bytes(data)
    rows = QuestionRows(QuestionsConfig(path=str(folder)))
    splits: tuple[Split, ...] = ("train", "validation", "test")
    for split in splits:
        for number in range(rows.count(split)):
            rows.image(rows(split, number))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(png(number))
    return tmp_path


def test_hunted_intact_lines_are_read(folder: Path) -> None:
    for ends in (b"\n", b"\r\n", b"\n\n"):
        read(folder, LINES.replace(b"\n", ends) + ends)
    read(folder, b"\xef\xbb\xbf" + LINES)


def test_hunted_columns_that_are_not_asked_for_may_hold_anything(folder: Path) -> None:
    others: list[Any] = [1, "two", {"three": 3}, 10**40]
    rows = [row | {"note": other} for row, other in zip(ROWS, others, strict=True)]
    read(folder, "\n".join(map(json.dumps, rows)).encode())


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (b'"answer": 2', b'"answer": ', "line 3"),
        (b'"answer": 2', b'"answer": "two"', "column 'answer'"),
        (b'"answer": 2', b'"answer": 1' + b"0" * 40, "column 'answer'"),
        (b'"image": "2.png"', b'"image": 2', "column 'image'"),
        (b'"answer": 2', b'"answer": null', "row 2: column 'answer'"),
        (b'"question"', b'"asked"', "no column 'question'"),
    ],
)
def test_hunted_fault_of_a_line_is_named(old: bytes, new: bytes, named: str, folder: Path) -> None:
    with pytest.raises(DataError, match=named):
        read(folder, LINES.replace(old, new))


@pytest.mark.parametrize("kind", CRASHED)
def test_hunted_damaged_lines_are_refused(kind: str, folder: Path) -> None:
    with pytest.raises(DataError, match=r"metadata\.jsonl"):
        read(folder, CRASHED[kind])


def test_hunted_no_damaged_line_ends_the_process(folder: Path) -> None:
    """In a process of its own, whose end by a signal would else end the tests."""
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.physrl.data import test_hunted_lines as here\n"
        "print(*here.refusals(Path(sys.argv[1]), 300))\n"
        "assert 'pyarrow.json' not in sys.modules\n"
    )
    command = [sys.executable, "-c", script, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    refused, read = map(int, done.stdout.split())
    assert refused > 100
    assert refused + read == 300 + len(CRASHED)


def refusals(folder: Path, inputs: int) -> tuple[int, int]:
    """Read damaged lines; count those that are refused and those that are read."""
    draw = random.Random("lines")
    kinds = [draw.choice((damaged, damaged_text)) for _ in range(inputs)]
    found = [*CRASHED.values(), *(kind(LINES, draw) for kind in kinds)]
    lines = [refusal(read, folder, data) for data in found]
    return sum(line is not None for line in lines), lines.count(None)
