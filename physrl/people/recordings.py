"""What the pages recorded: sessions of people, from files as jsPsych and its hosts write them."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from physrl.errors import DataError, boundary, reason_of
from physrl.people.experiment import FORMAT

SUFFIXES = (".json", ".jsonl", ".txt", ".csv")
"""Names of files that are read in a folder; JATOS writes lines of JSON as .txt."""
ROLES = ("practice", "catch", "test")
MOST_SECONDS = 86_400.0
Tag = Annotated[str, Field(max_length=200)]


def _optional(value: Any) -> Any:
    """Read an empty or `null` field of a CSV file as none."""
    return None if value in ("", "null") else value


class Trial(BaseModel):
    """A row of the data that is an answer; columns of hosts are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    format: Tag
    study: Tag
    person: Annotated[str, Field(min_length=1, max_length=200)]
    role: Literal["practice", "catch", "test"]
    task: Tag
    test_set: Tag
    key: Tag
    """Digest of what was asked."""
    scene: Annotated[str, Field(max_length=4000)]
    answer: Tag
    expected: Annotated[Tag | None, BeforeValidator(_optional)] = None
    """Answer that a catch trial requests."""
    rt: Annotated[float, Field(ge=0, le=1000 * MOST_SECONDS)]
    """Milliseconds."""
    trial_index: Annotated[int, Field(ge=0, le=10**6)]
    planned: Annotated[int, Field(ge=1, le=10**6)]
    """Trials that count of the whole experiment."""


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the pages."""

    person: str
    """Name that the page knew the person by; it is not kept."""
    trials: tuple[Trial, ...]

    def of(self, role: str) -> list[Trial]:
        """List the trials of a role."""
        return [trial for trial in self.trials if trial.role == role]


def read_sessions(path: Path) -> tuple[Session, ...]:
    """Read the sessions in a file, or in all files of a folder by their names.

    A file holds rows as a JSON array, arrays in an array or in lines, or CSV. A session ends where
    the person changes or the trials are counted anew.

    Raises:
        DataError: there is no file, or one is damaged, or not of such an experiment.
    """
    files = [path]
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{path} has no file of {', '.join(SUFFIXES)}: name the people's data")
    sessions = [session for file in files for session in _split(_read(file))]
    if not sessions:
        raise DataError(
            f"{path} has no answers: name data of an experiment of physrl humans export"
        )
    return tuple(sessions)


def _split(trials: Sequence[Trial]) -> Iterator[Session]:
    current: list[Trial] = []
    for trial in trials:
        last = current[-1] if current else None
        if last is not None and (
            trial.person != last.person or trial.trial_index <= last.trial_index
        ):
            yield Session(last.person, tuple(current))
            current = []
        current.append(trial)
    if current:
        yield Session(current[-1].person, tuple(current))


def _read(path: Path) -> list[Trial]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason_of(error)}: name the data") from None
    with boundary(DataError, f"{path} is not readable data of people", "export it again"):
        text = data.decode("utf-8-sig")
        rows = _json_rows(text) if text.lstrip()[:1] in ("[", "{") else _csv_rows(text)
        answers = [row for row in rows if row.get("role") in ROLES]
    return [_trial(path, number, row) for number, row in enumerate(answers, 1)]


def _json_rows(text: str) -> list[dict[str, Any]]:
    try:
        tree: Any = from_json(text)
    except ValueError:
        tree = [from_json(line) for line in text.splitlines() if line.strip()]
    return list(_flattened(tree))


def _flattened(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of arrays in arrays."""
    if isinstance(tree, dict):
        yield tree
    elif isinstance(tree, list):
        for each in tree:
            yield from _flattened(each)
    else:
        raise ValueError(f"{str(tree)[:40]!r} is no row")


def _csv_rows(text: str) -> list[dict[str, Any]]:
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    return [{key: value for key, value in row.items() if key is not None} for row in rows]


def _trial(path: Path, number: int, row: dict[str, Any]) -> Trial:
    try:
        trial = Trial.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{path} answer {number}: {where} is {str(first['input'])[:40]!r}: {first['msg']}: "
            "export the data again, with all columns"
        ) from None
    if trial.format != FORMAT:
        raise DataError(
            f"{path} answer {number}: format is {trial.format[:40]!r}, but this version reads "
            f"{FORMAT}: use the version that exported the experiment"
        )
    return trial
