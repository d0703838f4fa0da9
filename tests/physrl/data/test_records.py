from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physrl.data.records import arrow_type, from_plain, to_plain
from physrl.types import SceneSpec


@dataclass(frozen=True)
class Inner:
    x: float
    name: str


@dataclass(frozen=True)
class Outer:
    kind: Literal["a", "b"]
    count: int
    good: bool
    inner: Inner
    point: tuple[float, float, float]
    inners: tuple[Inner, ...]
    pairs: tuple[tuple[str, tuple[float, float]], ...]
    maybe: float | None = None


def test_arrow_types_of_fields() -> None:
    inner = pa.struct({"x": pa.float64(), "name": pa.string()})
    pair = pa.struct({"0": pa.string(), "1": pa.list_(pa.float64())})
    expected = {
        "kind": pa.string(),
        "count": pa.int64(),
        "good": pa.bool_(),
        "inner": inner,
        "point": pa.list_(pa.float64()),
        "inners": pa.list_(inner),
        "pairs": pa.list_(pair),
        "maybe": pa.float64(),
    }
    assert arrow_type(Outer) == pa.struct(expected)


finite = st.floats(allow_nan=False)
inners = st.builds(Inner, finite, st.text())
outers = st.builds(
    Outer,
    kind=st.sampled_from(["a", "b"]),
    count=st.integers(-(2**63), 2**63 - 1),
    good=st.booleans(),
    inner=inners,
    point=st.tuples(finite, finite, finite),
    inners=st.lists(inners, max_size=3).map(tuple),
    pairs=st.lists(st.tuples(st.text(), st.tuples(finite, finite)), max_size=3).map(tuple),
    maybe=st.none() | finite,
)


@settings(max_examples=40, deadline=None)
@given(outers)
def test_records_survive_the_round_trip_through_arrow(record: Outer) -> None:
    array = pa.array([to_plain(Outer, record)], arrow_type(Outer))
    assert from_plain(Outer, array.to_pylist()[0]) == record


def test_scenes_have_an_arrow_type() -> None:
    assert arrow_type(SceneSpec).get_field_index("appearance") > 0


def test_unsupported_types_are_rejected() -> None:
    with pytest.raises(TypeError, match=r"dict\[str, int\]"):
        arrow_type(dict[str, int])
