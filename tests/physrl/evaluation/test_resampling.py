import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physrl.evaluation.resampling import estimate, mean_success, pair_means, resample


def test_a_mean_of_independent_answers_has_the_binomial_interval() -> None:
    cell = np.repeat([1.0, 0.0], [60, 40])[None]
    drawn = resample({("a", "x"): cell}, count=20_000)["a", "x"]
    # sqrt(.6 x .4 / 100) = .049
    assert drawn.std() == pytest.approx(0.049, abs=0.001)
    interval = estimate(mean_success(cell), drawn)
    assert (interval.value, interval.low, interval.high) == pytest.approx(
        (0.6, 0.504, 0.696), abs=0.01
    )


def test_seeds_that_differ_widen_the_interval() -> None:
    # Two seeds, one always right and one never: half of the resamples hold both.
    cell = np.array([[1.0] * 50, [0.0] * 50])
    drawn = resample({("a", "x"): cell}, count=8000)["a", "x"]
    values, counts = np.unique(drawn.round(9), return_counts=True)
    assert values.tolist() == [0.0, 0.5, 1.0]
    assert counts / 8000 == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_cells_of_one_column_share_their_scenes() -> None:
    answers = np.random.default_rng(0).integers(0, 2, (1, 80)).astype(float)
    drawn = resample({("a", "x"): answers, ("b", "x"): answers, ("a", "y"): answers})
    assert np.array_equal(drawn["a", "x"], drawn["b", "x"])
    assert not np.array_equal(drawn["a", "x"], drawn["a", "y"])


def test_missing_seeds_are_left_out() -> None:
    missing = np.array([[1.0, 0.0], [np.nan, np.nan]])
    assert mean_success(missing) == 0.5
    drawn = resample({("a", "x"): missing})["a", "x"]
    assert 0.2 < np.isnan(drawn).mean() < 0.3  # both draws are the missing seed
    assert not np.isnan(estimate(0.5, drawn).low)


def test_twins_are_resampled_together() -> None:
    # A constant Yes is correct on one scene of each pair: pairs do not vary.
    always_yes = np.array([[1.0, 0.0] * 10])
    assert pair_means(always_yes).tolist() == [[0.5] * 10]
    drawn = resample({("a", "x"): pair_means(always_yes)})["a", "x"]
    assert drawn == pytest.approx(0.5)


def test_cells_of_different_sizes_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"3.*2"):
        resample({("b", "x"): np.zeros((1, 2)), ("a", "x"): np.zeros((1, 3))})


@settings(deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=4))
def test_the_interval_contains_the_mean_and_is_within_0_and_1(rows: list[list[bool]]) -> None:
    cell = np.array(rows, float)
    interval = estimate(mean_success(cell), resample({("a", "x"): cell}, count=200)["a", "x"])
    assert 0 <= interval.low <= interval.value + 1e-9
    assert interval.value - 1e-9 <= interval.high <= 1
