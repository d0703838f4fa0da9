from physrl.evaluation.results import CellResult, PolicyResult
from physrl.evaluation.specs import Condition
from physrl.report.answer_figures import confusion_table, offset_scatter
from tests.support.answers import make_answer, make_verdict_answer


def test_a_policy_without_parseable_answers_is_drawn() -> None:
    unparseable = make_verdict_answer("stability/test/0/0", None, True)
    empty = PolicyResult("empty", (CellResult(Condition("place"), (unparseable,)),))
    sampled = CellResult(Condition("place", decoding="sampled"), (make_answer(),))
    placed = PolicyResult("one", (sampled,))
    assert "<svg" in offset_scatter([empty, placed], "place", ("x", "y"), "offsets")


def test_answers_of_one_number_have_one_row() -> None:
    answers = (make_answer(0), make_answer(1, success=False))
    policy = PolicyResult("one", (CellResult(Condition("place_x"), answers),))
    svg = offset_scatter([policy], "place_x", ("x",), "offsets-place_x")
    assert 'id="offsets-place_x-axes_1"' in svg
    assert 'id="offsets-place_x-axes_2"' not in svg


def test_confusion_counts_by_hand() -> None:
    answers = (
        *[make_verdict_answer("a", True, True)] * 31,
        *[make_verdict_answer("a", None, True)] * 17,
        *[make_verdict_answer("a", True, False)] * 23,
    )
    assert confusion_table(answers).tolist() == [[31, 0, 17], [23, 0, 0]]
