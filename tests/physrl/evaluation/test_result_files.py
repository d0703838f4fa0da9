from physrl.evaluation.result_files import dump_results, parse_results
from physrl.evaluation.results import CellResult, PolicyResult, compare
from physrl.evaluation.specs import Condition
from physrl.evaluation.statistics import Count
from tests.support.answers import make_answer, make_verdict_answer

PLACED, FAILED = make_answer(17), make_answer(18, False, status="unparseable", offset=None)
VERDICT = make_verdict_answer("001.png", verdict=True, falls=False)
PLACE = CellResult(Condition("place"), (PLACED, FAILED))
REAL = CellResult(Condition("stability", "real", decoding="sampled"), (VERDICT,))
RESULT = PolicyResult("grpo", (PLACE, REAL))


def test_counts_of_a_task() -> None:
    assert PLACE.count == Count(1, 2)
    assert PLACE.unparseable == 1


def test_a_result_is_found_by_task_and_decoding() -> None:
    assert RESULT.find("real", "sampled") is REAL
    assert RESULT.find("real", "greedy") is None


def test_results_round_trip_with_metadata() -> None:
    results, metadata = parse_results(dump_results(RESULT.results, {"format": "mine"}))
    assert results == RESULT.results
    assert metadata["format"] == "mine"


def test_only_scenes_that_both_have_are_compared() -> None:
    before = CellResult(Condition("place"), (make_answer(0, False), make_answer(1, True)))
    after = CellResult(Condition("place"), (make_answer(0, True), make_answer(2, False)))
    difference = compare(before, after)
    assert difference is not None
    assert difference.value == 1.0
    apart = CellResult(Condition("place"), (make_answer(9, True),))
    assert compare(before, apart) is None
