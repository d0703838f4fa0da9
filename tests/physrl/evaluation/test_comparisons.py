import pytest

from physrl.evaluation.comparisons import compare_methods
from tests.support.small_studies import make_generalization, two_task_plan

RATES = {
    ("tiny-place-grpo", "place"): 0.9,
    ("tiny-place-grpo", "stability"): 0.4,
    ("tiny-place-sft-seed0", "place"): 0.5,
    ("tiny-place-sft-seed1", "place"): 0.7,
    ("tiny-stability-grpo", "place"): 0.1,
}


def test_methods_are_compared_where_both_have_results() -> None:
    (only,) = compare_methods(make_generalization(two_task_plan(), RATES))
    assert (only.first.method, only.second.method, only.condition.task) == ("grpo", "sft", "place")
    assert only.difference.value == pytest.approx(-0.3)


def test_two_seeds_have_no_p_value_and_an_interval_over_scenes() -> None:
    (only,) = compare_methods(make_generalization(two_task_plan(), RATES))
    assert (only.p, only.difference.over) == (None, "scenes")
