from pathlib import Path

from physrl.config.study import load_study_config
from physrl.evaluation.cells import Trained, open_cell_store
from physrl.evaluation.matrix import DoneCells, make_matrix
from physrl.evaluation.plan import plan_study
from physrl.evaluation.results import CellResult
from tests.support.answers import make_answer


def test_the_matrix_has_the_status_of_each_cell(tmp_path: Path) -> None:
    overrides = ["grid.tasks=[place]", "grid.methods={grpo: {}}", "evaluation.tasks=[place]"]
    plan = plan_study(load_study_config(None, overrides))
    store = open_cell_store(str(tmp_path))
    store.save_plan(plan)
    (loaded,) = store.plans()
    matrix = make_matrix(loaded, store)
    assert matrix.count("missing") == len(plan.cells)
    trained, control = plan.trials
    ours = [cell for cell in plan.cells if cell.subject.key == trained.key]
    assert all("not trained" in matrix.entries[trained.key, cell.condition].reason for cell in ours)
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
    assert reason.endswith("no space left")
    # Completed cells are neither failed nor running.
    for cell in ours[:2]:
        store.write_cell(cell.key, CellResult(cell.condition, (make_answer(0, True),)))
    matrix = make_matrix(plan, store)
    assert matrix.count("done") == 2
    assert set(DoneCells(matrix, store)) == {cell.key for cell in ours[:2]}
