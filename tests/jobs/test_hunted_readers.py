"""Damaged files are read or refused in one line by every reader; commands have a last resort."""

import random
from pathlib import Path

import pytest

from jobs.last_resort import last_resort
from physrl.errors import DataError, LostError, UserError
from tests.support.command_line import call
from tests.support.damage import damaged, damaged_text, refusal
from tests.support.readers import Reader, readers

NAMES = (
    "yaml", "csv", "images", "photo table", "results", "rollouts", "dataset manifest",
    "checkpoint manifest", "adapter config", "safetensors", "model config", "json lines", "people",
    "tower list", "judgements", "own rows", "own arrow", "own lines",
)  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reader]:
    return readers(tmp_path_factory.mktemp("seeds"))


def test_hunted_every_reader_is_fuzzed(table: dict[str, Reader]) -> None:
    assert set(table) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_hunted_damaged_input_is_read_or_refused_in_one_line(
    name: str, table: dict[str, Reader], tmp_path: Path
) -> None:
    draw, reader = random.Random(name), table[name]
    for data in reader.seeds:
        if name != "rollouts":  # its seed is a table of another kind
            assert refusal(reader.read, data, tmp_path) is None
    refused = 0
    for _ in range(250):
        damage = draw.choice((damaged, damaged_text))
        line = refusal(reader.read, damage(draw.choice(reader.seeds), draw), tmp_path)
        refused += line is not None
    assert refused > 25


@pytest.mark.parametrize(
    ("error", "code", "named"),
    [
        (UserError("steps is 0: set 1"), 2, "steps is 0: set 1"),
        (LostError("a\nb"), 1, "a b"),
        (KeyError("adapter"), 1, "KeyError: 'adapter'"),
        (RuntimeError("first\nsecond\nthird"), 1, "RuntimeError: first second third"),
        (MemoryError(), 1, "MemoryError"),
        (RecursionError("deep"), 1, "RecursionError"),
        (OSError(28, "No space left on device"), 1, "No space left"),
        (AssertionError(), 1, "AssertionError"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), 1, "UnicodeDecodeError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_hunted_any_error_of_a_command_is_one_line(
    error: Exception, code: int, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, last_resort():
        raise error
    assert ended.value.code == code
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ")
    assert named in line
    if not isinstance(error, UserError | LostError):
        log = Path(line.rpartition(" is in ")[2].removesuffix(")"))
        assert "Traceback" in log.read_text()
        assert type(error).__name__ in log.read_text()
        log.unlink()


@pytest.mark.parametrize(
    "target", ["jobs.arguments.study_place.find_cells", "jobs.arguments.study_place.parse_place"]
)
def test_hunted_unforeseen_error_inside_a_command(
    target: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by a library")

    monkeypatch.setattr(target, fail)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code, printed, errors = call(capsys, "status", tmp_path)
    assert (code, printed, errors.count("\n")) == (1, "", 1)
    assert "ZeroDivisionError: by a library" in errors


@pytest.mark.parametrize("length", [10, 899, 900, 901, 10_000, 1_000_000])
def test_hunted_message_keeps_its_ends(length: int) -> None:
    text = str(DataError(f"a.csv is '{'x' * length}'\n: remove it"))
    assert text.startswith("a.csv is '")
    assert text.endswith(": remove it")
    assert len(text) < 950
