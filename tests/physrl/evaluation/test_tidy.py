"""The table of all answers of a study."""

import csv
from pathlib import Path

import pandas
import pyarrow.parquet as pq
import pytest

from physrl.evaluation.cells import CellStore, open_cell_store
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import StudyPlan
from physrl.evaluation.tidy import CODEBOOK, CSV, TABLE, write_tidy
from tests.support.answers import make_answer
from tests.support.small_studies import two_task_plan

ANSWERED = ("tiny", "tiny-place-grpo-seed1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tidy")
    plan = two_task_plan()
    write_tidy(plan, _filled_store(plan, folder), folder)
    return folder


def _filled_store(plan: StudyPlan, folder: Path) -> CellStore:
    store = open_cell_store(str(folder / "store"))
    for cell in plan.cells:
        if cell.condition.task == "place" and cell.subject.name in (
            "tiny",
            "tiny-place-grpo-seed1",
        ):
            answers = (
                make_answer(0),
                make_answer(1, success=False, status="unparseable", answer="", offset=None),
                make_answer(2, success=False, status="illegal", margin=-0.5, blocks=4),
            )
            store.write_cell(cell.key, CellResult(cell.condition, answers))
    return store


def test_a_row_is_an_answer_with_its_subject_and_scene(folder: Path) -> None:
    rows = pq.read_table(folder / TABLE).to_pylist()
    assert len(rows) == 6
    (row, unparsed, illegal) = [r for r in rows if r["subject"] == "tiny-place-grpo-seed1"]
    assert (row["family"], row["seed"], row["on_trained_task"]) == ("tiny place grpo", 1, True)
    assert (row["offset_x"], row["offset_y"], row["ideal_x"]) == (1.0, 2.0, 1.5)
    assert (unparsed["parsed"], unparsed["legal"], unparsed["offset_x"]) == (False, False, None)
    assert (illegal["parsed"], illegal["legal"]) == (True, False)
    assert (illegal["margin"], illegal["blocks"], illegal["pair"]) == (-0.5, 4, 1)


def test_the_base_has_no_seed(folder: Path) -> None:
    rows = pq.read_table(folder / TABLE).to_pylist()
    assert {row["seed"] for row in rows if row["kind"] == "base"} == {None}


def test_the_csv_is_the_same_table_and_the_codebook_describes_every_column(folder: Path) -> None:
    table, text = pq.read_table(folder / TABLE), pandas.read_csv(folder / CSV)
    assert list(text.columns) == table.column_names
    assert text["success"].tolist() == table["success"].to_pylist()
    with (folder / CODEBOOK).open() as stream:
        described = list(csv.DictReader(stream))
    assert [row["column"] for row in described] == table.column_names
    assert all(row["description"] for row in described)
