import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from physrl.algorithms.advantage import advantages, decoupled_advantages, informative

REWARDS = np.array([[1.0, 3.0], [2.0, 2.0]])


def test_group_scale_divides_by_the_sample_deviation() -> None:
    deviation = np.sqrt(2) + 1e-4
    expected = [[-1 / deviation, 1 / deviation], [0, 0]]
    assert advantages(REWARDS, "group", "group") == pytest.approx(np.array(expected))


def test_no_scale_only_centers() -> None:
    assert advantages(REWARDS, "group", "none") == pytest.approx(np.array([[-1, 1], [0, 0]]))


def test_batch_scale_divides_by_the_deviation_of_all_rewards() -> None:
    # Rewards 1, 3, 2, 2 around 2: variance (1 + 1 + 0 + 0) / 3.
    deviation = np.sqrt(2 / 3) + 1e-4
    expected = np.array([[-1 / deviation, 1 / deviation], [0, 0]])
    assert advantages(REWARDS, "group", "batch") == pytest.approx(expected)


def test_leave_one_out_compares_with_the_others() -> None:
    rewards = np.array([[1.0, 2.0, 6.0]])
    # The others' means are 4, 3.5 and 1.5.
    assert advantages(rewards, "leave_one_out", "none").tolist() == [[-3.0, -1.5, 4.5]]


def test_normalized_parts_count_the_same_at_any_scale() -> None:
    parts = {"a": np.array([[0.0, 100.0, 200.0]]), "b": np.array([[0.0, 1.0, -1.0]])}
    # Both have deviation 1 in their own scale: -1, 0, 1 and 0, 1, -1; the sum is -1, 1, 0.
    expected = np.array([[-1.0, 1.0, 0.0]])
    assert decoupled_advantages(parts, {}) == pytest.approx(expected, abs=1e-3)
    # Summed first, `a` alone would decide.
    assert advantages(parts["a"] + parts["b"], "group", "batch")[0, 2] > 0.9
    only_a = decoupled_advantages(parts, {"b": 0.0})
    assert only_a == pytest.approx(np.array([[-1.0, 0.0, 1.0]]), abs=1e-3)


def test_groups_of_equal_rewards_are_not_informative() -> None:
    assert informative(np.array([[0.1, 0.1, 0.1], [0.0, 0.0, 1e-3]])).tolist() == [False, True]


@given(arrays(np.float64, (3, 4), elements=st.floats(-10, 10)))
def test_every_group_sums_to_zero(rewards: np.ndarray) -> None:
    for baseline in ("group", "leave_one_out"):
        for scale in ("group", "batch", "none"):
            result = advantages(rewards, baseline, scale)
            assert result.sum(axis=1) == pytest.approx(0, abs=1e-6)
