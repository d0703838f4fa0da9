import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from physrl.errors import CheckpointError
from physrl.storage.manifest import parse_manifest


@pytest.mark.parametrize(
    "name",
    ["../a", "/a", "a/../b", "a//b", "", ".", "a/./b", "a\0b", "a\x1b[2Jb", "a\u202eb", "a\nb"],
)
def test_a_manifest_does_not_lead_out_of_the_checkpoint(name: str) -> None:
    entry = {"size": 1, "sha256": "0" * 64}
    data = json.dumps({"files": {"state.json": entry, name: entry}}).encode()
    with pytest.raises(CheckpointError, match=r"x .*MANIFEST\.json"):
        parse_manifest(data, "x")


ENTRY = {"size": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    "files",
    [
        "[" * 100_000,
        '{"state.json": ' + '{"size": ' * 5000,
        json.dumps({"state.json": ENTRY | {"size": float("inf")}}),
        json.dumps({"state.json": ENTRY | {"size": float("nan")}}),
        json.dumps({"state.json": ENTRY | {"size": 1.5}}),
        json.dumps({"state.json": ENTRY | {"size": True}}),
        json.dumps({"state.json": ENTRY | {"size": "1"}}),
        json.dumps({"state.json": ENTRY | {"size": -1}}),
        '{"state.json": {"size": ' + "9" * 5000 + ', "sha256": "' + "0" * 64 + '"}}',
        json.dumps({"state.json": ENTRY | {"sha256": "0" * 63}}),
        json.dumps({"state.json": ENTRY | {"sha256": "0" * 63 + "\n"}}),
        json.dumps({"state.json": ENTRY | {"sha256": ["0"] * 64}}),
        json.dumps({"state.json": ENTRY | {"mode": 511}}),
        json.dumps({"state.json": []}),
        json.dumps([]),
        "null",
        "{}",
        '"\\ud800"',
        "\x00",
    ],
)
def test_a_hostile_manifest_is_refused_in_one_line(files: str) -> None:
    with pytest.raises(CheckpointError) as error:
        parse_manifest(b'{"files": ' + files.encode() + b"}", "x")
    assert str(error.value).isprintable()


json_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
entries = st.just(ENTRY) | st.fixed_dictionaries({"size": json_trees, "sha256": json_trees})


@given(st.binary(max_size=60) | json_trees.map(json.dumps).map(str.encode))
def test_any_bytes_are_a_manifest_or_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError):
        parse_manifest(data, "x")


@given(st.dictionaries(st.text(max_size=8), entries | json_trees, max_size=4))
def test_what_is_accepted_is_safe(files: dict[str, Any]) -> None:
    try:
        found = parse_manifest(json.dumps({"files": {"state.json": ENTRY} | files}).encode(), "x")
    except CheckpointError:
        return
    for name, entry in found.items():
        assert name.isprintable()
        assert not name.startswith("/")
        assert ".." not in name.split("/")
        assert type(entry["size"]) is int
        assert entry["size"] >= 0
        assert len(entry["sha256"]) == 64
