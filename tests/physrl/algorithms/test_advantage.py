import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from physrl.algorithms.advantage import group_advantages

REWARDS = np.array([[1.0, 3.0], [2.0, 2.0]])


def test_group_scale_divides_by_the_sample_deviation() -> None:
    deviation = np.sqrt(2) + 1e-4
    expected = [[-1 / deviation, 1 / deviation], [0, 0]]
    assert group_advantages(REWARDS, "group") == pytest.approx(np.array(expected))


def test_no_scale_only_centres() -> None:
    assert group_advantages(REWARDS, "none") == pytest.approx(np.array([[-1, 1], [0, 0]]))


def test_batch_scale_divides_by_the_deviation_of_all_rewards() -> None:
    # Rewards 1, 3, 2, 2 around 2: variance (1 + 1 + 0 + 0) / 3.
    deviation = np.sqrt(2 / 3) + 1e-4
    expected = np.array([[-1 / deviation, 1 / deviation], [0, 0]])
    assert group_advantages(REWARDS, "batch") == pytest.approx(expected)


@given(arrays(np.float64, (3, 4), elements=st.floats(-10, 10)))
def test_every_group_sums_to_nothing(rewards: np.ndarray) -> None:
    for scale in ("group", "batch", "none"):
        assert group_advantages(rewards, scale).sum(axis=1) == pytest.approx(0, abs=1e-6)
