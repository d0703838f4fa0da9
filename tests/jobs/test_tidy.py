from pathlib import Path

import pytest

from physrl.config.study import load_study_config
from physrl.evaluation.cells import open_cell_store
from physrl.evaluation.plan import plan_study
from physrl.evaluation.results import CellResult
from tests.support.answers import make_answer
from tests.support.command_line import call, call_refused
from tests.support.study_files import write_study


def test_a_studys_answers_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_study(load_study_config(write_study(tmp_path)))
    store = open_cell_store(str(tmp_path / "store"))
    store.save_plan(plan)
    cell = plan.cells[0]
    store.write_cell(cell.key, CellResult(cell.condition, (make_answer(0), make_answer(1))))
    code, printed, _ = call(capsys, "tidy", tmp_path / "store", "--out", tmp_path / "out")
    assert code == 0
    assert "2 answers of s" in printed.replace("\n", " ")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "answers.csv", "answers.parquet", "codebook.csv",
    ]  # fmt: skip


def test_a_store_without_the_study_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", tmp_path / "out")
    assert "does not exist" in call_refused(capsys, "tidy", tmp_path / "typo", *out)
    store = open_cell_store(str(tmp_path / "store"))
    assert "holds no study" in call_refused(capsys, "tidy", tmp_path / "store", *out)
    store.save_plan(plan_study(load_study_config(write_study(tmp_path))))
    refused = call_refused(capsys, "tidy", tmp_path / "store", *out, "--study", "typo")
    assert "--study" in refused
    assert not (tmp_path / "out").exists()
