"""Answers of people to a study's scenes, which stand in the tables as groups beside the models."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from physrl.errors import reason_of
from physrl.evaluation.families import Family
from physrl.evaluation.result_files import ANSWER, CONDITION, dump_row, parse_row
from physrl.evaluation.results import Answer
from physrl.evaluation.specs import Condition

PERSON = {"person": pa.int64(), "seconds": pa.float64()}
"""Columns besides those of an answer."""
SCHEMA = pa.schema(PERSON | CONDITION | ANSWER)
DESCRIPTIONS = {
    "person": "Number of the person within the group; names are not kept",
    "seconds": "Response time in seconds; null for judgements without",
}
EXCLUDED = b"excluded"


@dataclass(frozen=True, slots=True)
class PersonAnswer:
    """An answer of a person."""

    person: int
    """Number of the person within the group."""
    condition: Condition
    answer: Answer
    seconds: float | None
    """Response time; None for judgements without."""


@dataclass(frozen=True)
class PeopleGroup:
    """People who answered under the same circumstances, without those that rules excluded."""

    name: str
    answers: tuple[PersonAnswer, ...]
    excluded: Mapping[str, int]
    """Number of excluded persons by reason."""

    @property
    def family(self) -> Family:
        """The row of the group in tables."""
        return Family("people", self.name)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return tuple(dict.fromkeys(each.condition for each in self.answers))

    def persons(self, condition: Condition) -> dict[int, list[Answer]]:
        """Collect the answers under a condition by person."""
        found: dict[int, list[Answer]] = {}
        for each in self.answers:
            if each.condition == condition:
                found.setdefault(each.person, []).append(each.answer)
        return found


def dump_people(group: PeopleGroup) -> bytes:
    """Serialize a group as Parquet; its name is that of the object."""
    rows = [
        {"person": each.person, "seconds": each.seconds} | dump_row(each.condition, each.answer)
        for each in group.answers
    ]
    metadata = {EXCLUDED: json.dumps(dict(group.excluded))}
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(rows, SCHEMA.with_metadata(metadata))
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def parse_people(name: str, data: bytes) -> PeopleGroup:
    """Parse the output of `dump_people`.

    Raises:
        ValueError: the data are damaged, or have other columns.
    """
    try:
        table = pq.read_table(pa.BufferReader(data))
        excluded: Any = json.loads((table.schema.metadata or {}).get(EXCLUDED, b"{}"))
        rows = table.to_pylist()
    except Exception as error:  # pyarrow raises more than its own types
        raise ValueError(reason_of(error)) from None
    if table.schema.remove_metadata() != SCHEMA:
        raise ValueError(f"the columns are {', '.join(table.schema.names)}")
    if not isinstance(excluded, dict):
        raise ValueError("its counts of excluded persons are no object")
    return PeopleGroup(name, tuple(map(_parse, rows)), excluded)


def _parse(row: dict[str, Any]) -> PersonAnswer:
    condition, answer = parse_row(row)
    return PersonAnswer(row["person"], condition, answer, row["seconds"])


def find_group(groups: Sequence[PeopleGroup], family: Family) -> PeopleGroup | None:
    """Find the group of a row; None for a family of models."""
    return next((group for group in groups if group.family == family), None)
