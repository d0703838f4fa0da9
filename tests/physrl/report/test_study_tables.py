from physrl.evaluation.study_results import StudyResults
from physrl.report.study_tables import adaptation_rows, matrix_tables, transfer_rows


def test_missing_cells_have_a_status_and_a_reason(results: StudyResults) -> None:
    tables = {table.protocol: table for table in matrix_tables(results)}
    wild = {family.name: cells for family, cells in tables["wild, greedy"].rows}
    assert [cell.status for cell in wild["tiny place grpo long"]] == ["missing"] * 3
    iid = {family.name: cells for family, cells in tables["iid, greedy"].rows}
    lost = iid["tiny stability gspo"][1]
    assert lost.seeds == "1 of 2 seeds"
    assert "CUDA out of memory" in lost.reason
    assert lost.diagonal


def test_transfer_has_a_row_for_each_single_task_family(results: StudyResults) -> None:
    # 2 tasks x 3 methods; the variant and the shuffled control are left out.
    assert len(transfer_rows(results)) == 6


def test_trained_models_that_adapt_faster_save_demonstrations(results: StudyResults) -> None:
    rows = [row for row in adaptation_rows(results) if row.family.name == "tiny place grpo"]
    assert {row.task for row in rows} == {"stability", "place_x"}
    assert all(row.saved is not None and row.saved > 0 for row in rows)
    assert all(row.area_of_base is not None and row.area > row.area_of_base for row in rows)
