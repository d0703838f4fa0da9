"""Parquet files of results, with a row for each answer that includes its condition.

Cells of a study and evaluations of a run have the same columns.
"""

from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from physrl.errors import reason_of
from physrl.evaluation.results import Answer, CellResult
from physrl.evaluation.scores import STAGES, CellScores
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
SCORES = ["success", "status", "falls"]
"""Columns of the fields of `CellScores`."""


def dump_results(results: Sequence[CellResult], metadata: dict[str, str]) -> bytes:
    """Serialize results; a result without answers is lost."""
    rows = [dump_row(result.condition, answer) for result in results for answer in result.answers]
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
    rows = map(parse_row, table.to_pylist())
    results = tuple(
        CellResult(condition, tuple(answer for _, answer in group))
        for condition, group in groupby(rows, key=lambda row: row[0])
    )
    metadata = table.schema.metadata or {}
    return results, {key.decode(): value.decode() for key, value in metadata.items()}


def dump_row(condition: Condition, answer: Answer) -> dict[str, Any]:
    """Return the row of an answer, with its condition."""
    return asdict(condition) | {name: getattr(answer, name) for name in ANSWER}


def parse_scores(data: bytes) -> CellScores:
    """Parse the scores of a single result, without its texts.

    Raises:
        ValueError: the data are damaged, or have other columns.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        schema = file.schema_arrow.remove_metadata()
        table = file.read(SCORES) if schema == SCHEMA else None
    except Exception as error:  # pyarrow raises more than its own types
        raise ValueError(reason_of(error)) from None
    if table is None:
        raise ValueError(f"the columns are {', '.join(schema.names)}")
    success, status, falls = (table[name].to_pylist() for name in SCORES)
    try:
        return CellScores(
            np.array(success, np.int8),
            np.array([STAGES[each] for each in status], np.int8),
            np.array(falls, np.float64),
        )
    except (TypeError, KeyError) as error:
        raise ValueError(f"an answer has no outcome: {error}") from None


def parse_row(row: dict[str, Any]) -> tuple[Condition, Answer]:
    """Return the condition and the answer of a row; other columns are ignored."""
    condition = Condition(**{field.name: row[field.name] for field in fields(Condition)})
    pairs = {
        name: None if row[name] is None else tuple(row[name]) for name in ("offset", "ideal_offset")
    }
    return condition, Answer(**({name: row[name] for name in ANSWER} | pairs))
