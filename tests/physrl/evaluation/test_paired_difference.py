import pytest
from hypothesis import given
from hypothesis import strategies as st

from physrl.evaluation.statistics import paired_difference


def test_a_paired_difference_by_hand() -> None:
    # 7 gained and none lost of 10: (7 + 1) / 12 - 1 / 12 = 7 / 12, and
    # 1.96 * sqrt((9 / 12 - (7 / 12)^2) / 12) = 0.3622.
    difference = paired_difference(0, 7, 10)
    assert difference.value == 0.7
    assert (difference.low, difference.high) == pytest.approx((0.2211, 0.9456), abs=1e-4)
    assert difference.is_clear


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_no_interval_has_width_zero(total: int, lost: int, gained: int) -> None:
    lost = min(lost, total)
    gained = min(gained, total - lost)
    difference = paired_difference(lost, gained, total)
    assert -1 <= difference.low < difference.high <= 1
    mirrored = paired_difference(gained, lost, total)
    assert mirrored.low == pytest.approx(-difference.high)
