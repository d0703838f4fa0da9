from pathlib import Path

import pytest

from physrl.config.study import load_study_config
from physrl.evaluation.cells import open_cell_store
from physrl.evaluation.plan import plan_study
from physrl.evaluation.results import CellResult
from tests.support.answers import make_answer
from tests.support.command_line import call, call_refused
from tests.support.study_files import write_study


def test_done_running_and_failed_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_study(load_study_config(write_study(tmp_path)))
    store = open_cell_store(str(tmp_path / "store"))
    store.save_plan(plan)
    base, physics = (
        next(cell for cell in plan.cells if cell.subject.kind == kind)
        for kind in ("base", "physics")
    )
    right, wrong = (make_answer(success=success) for success in (True, False))
    store.write_cell(base.key, CellResult(base.condition, (right, wrong, wrong, wrong)))
    store.start(physics.key, "physics")
    store.fail(plan.trials[0].key, plan.trials[0].name, "it fell over", 3)
    code, printed, _ = call(capsys, "status", tmp_path / "store")
    assert code == 0
    assert "25%" in printed
    assert "1 done, 1 running" in printed
    assert "it fell over" in printed
    assert "trained: 0 of 2" in printed


def test_a_store_without_a_study_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "holds no study" in call_refused(capsys, "status", tmp_path)
    assert "does not exist" in call_refused(capsys, "status", tmp_path / "typo")
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("command", [["status"], ["tidy", "--out", "answers"]])
def test_what_is_no_store_is_told_by_what_it_is(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, study = tmp_path / "run", tmp_path / "study"
    run.mkdir()
    (run / "config.yaml").write_text("seed: 1\n")
    open_cell_store(str(study / "store"))
    line = call_refused(capsys, *command, run)
    assert f"physrl report {run}" in line
    assert f"physrl status {run} --watch" in line
    assert f"name {study}/store" in call_refused(capsys, *command, f"{study}/")
