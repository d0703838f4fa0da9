import numpy as np

from physrl.evaluation.families import group_families, tabulate_scores
from physrl.evaluation.matrix import Entry, Matrix
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import Condition
from tests.support.answers import make_answer
from tests.support.small_studies import two_task_plan


def test_families_are_subjects_that_differ_only_in_their_seed() -> None:
    families = group_families(two_task_plan().subjects)
    assert [family.name for family in families] == [
        "tiny place grpo", "tiny place sft", "tiny stability grpo", "tiny stability sft",
        "tiny (base)", "physics", "guesser", "constant", "nearest", "side", "height",
        "side_and_height", "exact_x", "aligner", "midway", "guess",
    ]  # fmt: skip
    assert [len(members) for members in families.values()] == [2, 2, 2, 2] + [1] * 12


def test_form_legality_and_success_are_told_apart() -> None:
    plan = two_task_plan()
    (cell,) = [
        cell
        for cell in plan.cells
        if cell.subject.kind == "base" and cell.condition == Condition("place")
    ]
    answers = (
        make_answer(0, success=True),
        make_answer(1, success=False),
        make_answer(2, success=False, status="illegal"),
        make_answer(3, success=False, status="unparseable"),
    )
    entries = {(cell.subject.key, cell.condition): Entry(cell, "done")}
    matrix = Matrix((cell.subject,), (cell.condition,), entries)
    (scores,) = tabulate_scores(matrix, {cell.key: CellResult(cell.condition, answers)}).values()
    assert (scores.parsed_share, scores.legal_share) == (0.75, 0.5)
    assert scores.success_if_legal == 0.5
    assert np.isnan(scores.falls).all()
