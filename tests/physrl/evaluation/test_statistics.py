import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physrl.evaluation.statistics import (
    Count,
    adjust_p_values,
    seed_deviation,
)

counts = st.integers(1, 500).flatmap(
    lambda total: st.builds(Count, st.integers(0, total), st.just(total))
)


def test_rate() -> None:
    assert Count(3, 4).rate == 0.75


def test_wilson_interval_by_hand() -> None:
    # z = 1.959964: center (p + z^2/2n) / (1 + z^2/n), half width z sqrt(p q/n + z^2/4n^2) / (...).
    z, p, n = 1.959964, 0.8, 10
    center = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert Count(8, 10).interval == pytest.approx((center - half, center + half), abs=1e-6)
    assert Count(8, 10).interval == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_no_success_has_an_interval_above_zero() -> None:
    assert Count(0, 10).interval == pytest.approx((0, 0.2775), abs=1e-4)


@settings(deadline=None)  # scipy's first import is slow
@given(counts)
def test_the_interval_contains_the_rate_and_is_within_0_and_1(count: Count) -> None:
    low, high = count.interval
    assert -1e-12 <= low <= count.rate + 1e-12
    assert count.rate - 1e-12 <= high <= 1 + 1e-12


@pytest.mark.parametrize(("successes", "total"), [(-1, 4), (5, 4), (0, 0)])
def test_impossible_counts_are_errors(successes: int, total: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        Count(successes, total)


def test_a_family_of_tests_is_corrected() -> None:
    # Holm: .01 x 3 = .03; .03 x 2 = .06; .04 x 1, but not below .06.
    assert adjust_p_values([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert adjust_p_values([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert adjust_p_values([]) == []


def test_seed_deviation_by_hand() -> None:
    missing = [np.nan] * 4
    assert seed_deviation(np.array([[1, 1, 0, 0], [1, 1, 1, 1], missing])) == pytest.approx(
        0.5 / 2**0.5
    )
    assert seed_deviation(np.array([[1, 0, 0, 0], missing])) is None
