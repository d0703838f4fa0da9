"""Parquet files of results, with a row for each answer that includes its condition.

Cells of a study and evaluations of a run have the same columns.
"""

from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from physrl.errors import reason_of
from physrl.evaluation.results import Answer, CellResult
from physrl.evaluation.specs import Condition

CONDITION = {
    "task": pa.string(),
    "test_set": pa.string(),
    "shots": pa.int64(),
    "decoding": pa.string(),
    "images": pa.string(),
    "examples": pa.string(),
}
"""Columns of the fields of `Condition`."""
ANSWER = {
    "scene_id": pa.string(),
    "completion": pa.string(),
    "answer": pa.string(),
    "ideal": pa.string(),
    "success": pa.bool_(),
    "status": pa.string(),
    "reward": pa.float64(),
    "offset": pa.list_(pa.float64()),  # x, y
    "ideal_offset": pa.list_(pa.float64()),
    "predicted_falls": pa.bool_(),
    "falls": pa.bool_(),
    "probability": pa.float64(),
    "probability_yes": pa.float64(),
    "probability_no": pa.float64(),
    "margin": pa.float64(),
    "blocks": pa.int64(),
    "height": pa.float64(),
    "side": pa.string(),
    "generator": pa.string(),
}
"""Columns of the fields of `Answer`."""
SCHEMA = pa.schema(CONDITION | ANSWER)


def dump_results(results: Sequence[CellResult], metadata: dict[str, str]) -> bytes:
    """Serialize results; a result without answers is lost."""
    rows = [
        asdict(result.condition) | {name: getattr(answer, name) for name in ANSWER}
        for result in results
        for answer in result.answers
    ]
    table = pa.Table.from_pylist(rows, SCHEMA.with_metadata(metadata))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def parse_results(data: bytes) -> tuple[tuple[CellResult, ...], dict[str, str]]:
    """Parse the output of `dump_results` into results and metadata.

    Raises:
        ValueError: the data are damaged, or have other columns.
    """
    try:
        table = pq.read_table(pa.BufferReader(data))
    except Exception as error:  # pyarrow raises more than its own types
        raise ValueError(reason_of(error)) from None
    if table.schema.remove_metadata() != SCHEMA:
        raise ValueError(f"the columns are {', '.join(table.schema.names)}")
    rows = ((_condition(row), _answer(row)) for row in table.to_pylist())
    results = tuple(
        CellResult(condition, tuple(answer for _, answer in group))
        for condition, group in groupby(rows, key=lambda row: row[0])
    )
    metadata = table.schema.metadata or {}
    return results, {key.decode(): value.decode() for key, value in metadata.items()}


def _condition(row: dict[str, Any]) -> Condition:
    return Condition(**{field.name: row[field.name] for field in fields(Condition)})


def _answer(row: dict[str, Any]) -> Answer:
    pairs = {
        name: None if row[name] is None else tuple(row[name]) for name in ("offset", "ideal_offset")
    }
    return Answer(**({name: row[name] for name in ANSWER} | pairs))
