from pathlib import Path

import pytest

from physrl.config.study import load_study_config
from physrl.errors import DataError
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.cells import CellResult, Trained, open_cell_store
from physrl.evaluation.matrix import make_matrix, read_done
from physrl.evaluation.plan import plan_study
from physrl.evaluation.probes import ProbeResult, ProbeScore
from physrl.evaluation.results import Answered
from physrl.evaluation.specs import StudyPlan


@pytest.fixture(scope="module")
def plan() -> StudyPlan:
    overrides = ["grid.tasks=[place]", "grid.methods={grpo: {}}", "evaluation.tasks=[place]"]
    return plan_study(load_study_config(None, overrides))


def answered(index: int, success: bool) -> Answered:
    return Answered(
        scene_id=f"place/test/iid/0/{index}",
        completion="<answer>100 200</answer>",
        answer="100 200",
        ideal="150 200",
        success=success,
        status="settled",
        reward=0.5,
        offset=(1.0, 2.0),
        ideal_offset=None,
        said_falls=None,
        falls=True,
    )


def test_a_cell_is_read_as_it_was_written_and_never_overwritten(tmp_path: Path) -> None:
    store = open_cell_store(str(tmp_path))
    first = CellResult("a", (answered(0, True), answered(1, False)))
    assert store.read_cell("a") is None
    assert store.write_cell(first)
    assert not store.write_cell(CellResult("a", (answered(2, True),)))
    assert open_cell_store(str(tmp_path)).read_cell("a") == first
    assert first.count.share == 0.5


def test_other_records_are_kept_likewise(tmp_path: Path) -> None:
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


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    open_cell_store(str(tmp_path))
    open_cell_store(str(tmp_path))
    (tmp_path / "format.json").write_text('{"format": "physrl-study-0"}')
    with pytest.raises(DataError, match="is of format physrl-study-0, and this version reads"):
        open_cell_store(str(tmp_path))


def test_damage_is_named(tmp_path: Path) -> None:
    store = open_cell_store(str(tmp_path))
    store.write_cell(CellResult("a", (answered(0, True),)))
    (tmp_path / "cells" / "a.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"cells/a.parquet in .* is damaged"):
        store.read_cell("a")


def test_a_store_may_be_a_bucket(bucket: str) -> None:
    store = open_cell_store(f"s3://{bucket}/study")
    assert store.write_cell(CellResult("a", (answered(0, True),)))
    assert not store.write_cell(CellResult("a", (answered(0, True),)))
    assert store.done() == {"a"}


def test_the_matrix_says_what_is_there_and_why_not(tmp_path: Path, plan: StudyPlan) -> None:
    store = open_cell_store(str(tmp_path))
    store.save_plan(plan)
    (loaded,) = store.plans()
    matrix = make_matrix(loaded, store)
    assert matrix.count("missing") == len(plan.cells)
    trained, control = plan.trials
    ours = [cell for cell in plan.cells if cell.subject.key == trained.key]
    assert {matrix.entries[trained.key, cell.condition].reason for cell in ours} == {
        "its model is not trained yet"
    }
    store.fail(control.key, control.name, "no space\nleft", 3)
    store.write_trained(Trained(trained.key, trained.name, "x", 1.0))
    store.start(ours[0].key, "cell")
    store.fail(ours[1].key, "cell", "the server died", 2)
    matrix = make_matrix(plan, store)
    entries = [matrix.entries[trained.key, cell.condition] for cell in ours]
    assert [entry.status for entry in entries] == ["running", "failed"]
    assert entries[1].reason == "the server died"
    lost = next(cell for cell in plan.cells if cell.subject.key == control.key)
    reason = matrix.entries[control.key, lost.condition].reason
    assert reason == "its training failed: no space left"
    # What is done at last has neither failed nor runs.
    for cell in ours[:2]:
        store.write_cell(CellResult(cell.key, (answered(0, True),)))
    matrix = make_matrix(plan, store)
    assert matrix.count("done") == 2
    assert set(read_done(matrix, store)) == {cell.key for cell in ours[:2]}
