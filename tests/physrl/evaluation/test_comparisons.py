import pytest

from physrl.evaluation.comparisons import compare_methods
from tests.support.studies import make_generalization, two_task_plan


def test_methods_are_compared_where_both_have_results() -> None:
    rates = {
        ("tiny-place-grpo", "place"): 0.9,
        ("tiny-place-grpo", "stability"): 0.4,
        ("tiny-place-sft-seed0", "place"): 0.5,
        ("tiny-place-sft-seed1", "place"): 0.7,
        ("tiny-stability-grpo", "place"): 0.1,
    }
    (only,) = compare_methods(make_generalization(two_task_plan(), rates))
    assert (only.first.method, only.second.method, only.condition.task) == ("grpo", "sft", "place")
    assert only.difference.value == pytest.approx(-0.3)
    # 16 scenes differ, 8 by one and 8 by a half, all in one direction.
    assert only.p == pytest.approx(1e-4, rel=2)
