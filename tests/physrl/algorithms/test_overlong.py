import numpy as np
import pytest

from physrl.algorithms.overlong import overlong_punishment


def test_the_punishment_grows_over_the_cache() -> None:
    lengths = np.array([[0, 6, 7], [8, 10, 11]])
    expected = np.array([[0, 0, -0.25], [-0.5, -1, -1]])
    assert overlong_punishment(lengths, max_length=10, cache=4) == pytest.approx(expected)
