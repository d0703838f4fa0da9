import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from physrl.errors import DataError
from physrl.evaluation.specs import Condition
from physrl.people.parts import Item, Part
from physrl.people.recordings import read_sessions
from tests.support.people import guesses, make_session

Rows = list[dict[str, Any]]


def part() -> Part:
    items = tuple(Item(f"stability/test/iid/0/{n}", b"", "Will it fall?", None) for n in range(6))
    return Part(Condition("stability"), "key", (), items[:1], (), (items[1:],))


def rows(person: str) -> Rows:
    return make_session([part()], person, guesses(0))


def as_csv(rows: Rows) -> str:
    """Write rows as jsPsych does: all values quoted, `null` for none."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow("null" if row.get(name) is None else row[name] for name in columns)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["array", "nested", "lines", "csv", "byte order mark"])
def test_every_way_of_hosts_to_write_rows_is_read(kind: str, tmp_path: Path) -> None:
    both = [rows("ann"), rows("bob")]
    flat = [row for each in both for row in each]
    text = {
        "array": json.dumps(flat, indent=1),
        "nested": json.dumps(both),
        "lines": "\n".join(map(json.dumps, both)) + "\n",
        "csv": as_csv(flat),
        "byte order mark": "\ufeff" + as_csv(flat),
    }[kind]
    path = tmp_path / ("data.csv" if kind[:1] == "c" else "data.json")
    path.write_text(text, encoding="utf-8", newline="")
    sessions = read_sessions(path)
    assert [each.person for each in sessions] == ["ann", "bob"]
    for each in sessions:
        assert len(each.of("test")) == 5
        assert len(each.of("practice")) == 1
        assert each.trials[0].rt == 900.0
        assert each.trials[0].expected is None


def test_files_of_a_folder_are_read_by_name_and_other_files_ignored(tmp_path: Path) -> None:
    (tmp_path / "2.json").write_text(json.dumps(rows("second")))
    (tmp_path / "1.csv").write_text(as_csv(rows("first")))
    (tmp_path / "README.md").write_text("not data")
    assert [each.person for each in read_sessions(tmp_path)] == ["first", "second"]


def test_a_person_who_begins_anew_has_two_sessions(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(rows("ann")[:4] + rows("ann")))
    assert [len(each.trials) for each in read_sessions(tmp_path)] == [3, 6]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rt": -1}, "rt is '-1'"),
        ({"rt": "soon"}, "rt is 'soon'"),
        ({"answer": "Yes" * 100}, "answer"),
        ({"person": ""}, "person"),
        ({"person": None}, "person"),
        ({"format": "physrl-people-9"}, "physrl-people-9"),
        ({"planned": 0}, "planned"),
        ({"scene": ["a"]}, "scene"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(
    changes: dict[str, Any], named: str, tmp_path: Path
) -> None:
    damaged = rows("ann")
    damaged[2] |= changes
    (tmp_path / "a.json").write_text(json.dumps(damaged))
    with pytest.raises(DataError, match=named) as refused:
        read_sessions(tmp_path / "a.json")
    assert "answer 2" in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "hello", "[1, 2]", '{"role": "page"}', "[[[", "a\x00b"])
def test_data_without_answers_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"a\.json"):
        read_sessions(tmp_path / "a.json")


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "typo.json"):
        with pytest.raises(DataError, match=path.name):
            read_sessions(path)
