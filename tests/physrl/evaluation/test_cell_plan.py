from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from physrl.errors import ConfigError
from physrl.evaluation.cell_plan import make_conditions
from physrl.evaluation.evidence import form_matched
from physrl.evaluation.plan import plan_study
from physrl.evaluation.requests import cell_sampling
from physrl.evaluation.specs import Condition
from tests.support.small_studies import small_study


def test_photographs_are_evaluated_as_stability(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "labels.csv").write_text("file,falls\na.png,1\nb.png,0\n")
    plan = plan_study(
        small_study("evaluation.test_sets=[iid, real]", f"evaluation.real_images={tmp_path}")
    )
    real = [cell for cell in plan.cells if cell.condition.test_set == "real"]
    assert {cell.condition.task for cell in real} == {"stability"}
    assert {cell.settings.scenes for cell in real} == {2}
    # The exact criterion does not apply to photographs.
    assert {cell.subject.kind for cell in real} == {"trained", "base", "guesser"}


def test_min_p_applies_to_sampled_answers() -> None:
    prompting = "evaluation.prompting=[{}, {decoding: sampled}]"
    plan = plan_study(small_study(prompting, "evaluation.min_p=0.1"))
    found = {cell.condition.decoding: cell_sampling(cell) for cell in plan.cells}
    assert {decoding: each.min_p for decoding, each in found.items()} == {
        "greedy": 0.0, "sampled": 0.1
    }  # fmt: skip
    plain = plan_study(small_study(prompting))
    assert not {cell.key for cell in plan.cells} & {cell.key for cell in plain.cells}
    sampled = [cell_sampling(cell) for cell in plain.cells if cell.condition.decoding == "sampled"]
    assert replace(found["sampled"], min_p=0.0) in sampled


def test_transfer_is_judged_after_examples_of_form() -> None:
    prompting = "evaluation.prompting=[{}, {shots: 4}, {shots: 2, examples: form}]"
    conditions = make_conditions(
        small_study(prompting, "evaluation.tasks=[place_x]", "base.model.max_images=5")
    )
    form = Condition("place_x", shots=2, examples="form")
    assert {form, replace(form, images="blank"), Condition("place_x", shots=4)} < set(conditions)
    assert form_matched(conditions, "place_x", "iid") == form
    solved = [each for each in conditions if each.examples == "solved"]
    assert form_matched(solved, "place_x", "iid") == Condition("place_x", shots=4)


def test_examples_of_form_need_a_number() -> None:
    with pytest.raises(ConfigError, match=r"shots 0"):
        small_study("evaluation.prompting=[{examples: form}]")
