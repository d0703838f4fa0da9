import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from physrl.errors import DataError
from physrl.evaluation.cells import open_cell_store
from physrl.evaluation.plan import plan_study
from physrl.evaluation.plan_file import dump_plan, parse_outline, parse_plan
from physrl.evaluation.specs import StudyPlan
from tests.support.small_studies import small_study, two_task_plan


@pytest.mark.parametrize("more", [[], ["form_warm_up={steps: 3, prompts_per_step: 8}"]])
def test_a_plan_is_read_as_it_was_written(more: list[str]) -> None:
    plan = plan_study(small_study(*more))
    assert bool(plan.form) == bool(more)
    data = dump_plan(plan)
    assert parse_plan(data) == plan
    assert parse_outline(data).name == plan.name
    assert len(data) < len(TypeAdapter(StudyPlan).dump_json(plan))


def test_an_outline_has_the_cells_and_what_trials_were_configured_with() -> None:
    plan = two_task_plan()
    outline = parse_outline(dump_plan(plan))
    assert outline.cells == plan.cells
    assert outline.subjects == plan.subjects
    assert [each.key for each in outline.adaptations] == [each.key for each in plan.adaptations]
    assert [each.config["seed"] for each in outline.trials] == [each.seed for each in plan.trials]


@pytest.mark.parametrize("place", [-1, 10**6, "x", None])
def test_a_row_outside_its_table_is_damage(tmp_path: Path, place: object) -> None:
    plan = two_task_plan()
    store = open_cell_store(str(tmp_path))
    store.save_plan(plan)
    path = tmp_path / "plans" / f"{plan.name}.json"
    tree = json.loads(path.read_text())
    tree["cells"]["rows"][0][1] = place
    path.write_text(json.dumps(tree, separators=(",", ":")))
    assert store.studies() == (plan.name,)
    for read in (store.read_plan, store.read_outline):
        with pytest.raises(DataError, match=rf"plans/{plan.name}\.json .*cells"):
            read(plan.name)
