from pathlib import Path

import numpy as np
import pytest

from physrl.errors import DataError
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.cells import Trained, open_cell_store
from physrl.evaluation.probe_results import ProbeResult, ProbeScore
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import Condition
from tests.support.answers import make_answer

PLACE = Condition("place")


def test_a_cell_is_read_as_it_was_written_and_never_overwritten(tmp_path: Path) -> None:
    store = open_cell_store(str(tmp_path))
    first = CellResult(PLACE, (make_answer(0, True), make_answer(1, False)))
    assert store.read_cell("a") is None
    assert store.write_cell("a", first)
    assert not store.write_cell("a", CellResult(PLACE, (make_answer(2, True),)))
    assert open_cell_store(str(tmp_path)).read_cell("a") == first
    assert first.count.rate == 0.5


def test_scores_are_those_of_the_answers(tmp_path: Path) -> None:
    store = open_cell_store(str(tmp_path))
    answers = (
        make_answer(0, True),
        make_answer(1, False, status="illegal"),
        make_answer(2, False, status="unparseable", falls=True),
    )
    store.write_cell("a", CellResult(PLACE, answers))
    read, whole = store.read_scores("a"), store.read_cell("a")
    assert store.read_scores("b") is None
    assert read is not None
    assert whole is not None
    for found in (read, whole.scores):
        assert found.successes.tolist() == [1, 0, 0]
        assert found.stages.tolist() == [2, 1, 0]
        assert np.isnan(found.falls).tolist() == [True, True, False]
    (tmp_path / "cells" / "a.parquet").write_bytes(b"PAR1 half")
    with pytest.raises(DataError, match=r"cells/a\.parquet"):
        store.read_scores("a")


def test_other_records_round_trip(tmp_path: Path) -> None:
    store = open_cell_store(str(tmp_path))
    trained = Trained("t", "name", "s3://b/x", 3.5, ({"step": 1.0, "loss": float("nan")},))
    curve = AdaptationCurve("c", (0, 2), 8, ((False, True), (True, True)))
    probe = ProbeResult("p", (ProbeScore("margin", "model", "vision.0", 0, (0.5, 0.25)),))
    assert store.write_trained(trained)
    assert store.write_adaptation(curve)
    assert store.write_probe(probe)
    assert not store.write_probe(ProbeResult("p", ()))
    found = store.read_trained("t")
    assert found is not None
    assert (found.checkpoint, found.metrics) == ("s3://b/x", ({"step": 1.0},))
    assert store.read_adaptation("c") == curve
    assert store.read_probe("p") == probe
    assert store.done() == {"t", "c", "p"}


def test_a_store_of_another_version_is_an_error(tmp_path: Path) -> None:
    open_cell_store(str(tmp_path))
    open_cell_store(str(tmp_path))
    (tmp_path / "format.json").write_text('{"format": "physrl-study-0"}')
    with pytest.raises(DataError, match="physrl-study-0"):
        open_cell_store(str(tmp_path))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    store = open_cell_store(str(tmp_path))
    store.write_cell("a", CellResult(PLACE, (make_answer(0, True),)))
    (tmp_path / "cells" / "a.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"cells/a\.parquet"):
        store.read_cell("a")


def test_a_store_may_be_a_bucket(bucket: str) -> None:
    store = open_cell_store(f"s3://{bucket}/study")
    assert store.write_cell("a", CellResult(PLACE, (make_answer(0, True),)))
    assert not store.write_cell("a", CellResult(PLACE, (make_answer(0, True),)))
    assert store.done() == {"a"}
