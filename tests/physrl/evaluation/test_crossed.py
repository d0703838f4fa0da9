"""Contrasts of made-up samples, with variances computed by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from physrl.evaluation.contrast import Contrast
from physrl.evaluation.crossed import Term, combine, pair_means


def contrast_of(*terms: Term) -> Contrast:
    contrast = combine(terms)
    assert contrast is not None
    return contrast


def test_a_single_model_has_students_interval_over_units() -> None:
    values = np.array([[1.0, 0.0, 1.0, 1.0, 0.5, 0.0, 1.0, 1.0]])
    contrast = contrast_of(Term(values, "x", scenes=8))
    deviation = values.std(ddof=1) / 8**0.5
    half = float(student.ppf(0.975, 7)) * deviation
    assert contrast.estimate.value == pytest.approx(5.5 / 8)
    assert contrast.estimate.high - contrast.value == pytest.approx(half)
    assert (contrast.seeds, contrast.over) == (None, "scenes")


def test_equal_scenes_leave_students_interval_over_seeds() -> None:
    # Every seed gets a pair right or wrong as a whole, on all pairs alike: rates .2, .5, .8.
    values = np.repeat([[0.2], [0.5], [0.8]], 40, axis=1)
    contrast = contrast_of(Term(values, "x", "a", scenes=80))
    half = float(student.ppf(0.975, 2)) * 0.3 / 3**0.5
    assert contrast.estimate.high - 0.5 == pytest.approx(half)
    assert contrast.over == "seeds and scenes"


def test_models_on_the_same_scenes_are_paired() -> None:
    base = np.random.default_rng(0).integers(0, 2, (1, 60)).astype(float)
    better = base.copy()
    better[0, :10] = 1 - better[0, :10]
    same = contrast_of(Term(base, "x", weight=-1, scenes=60), Term(better, "x", scenes=60))
    apart = contrast_of(Term(base, "x", weight=-1, scenes=60), Term(better, "y", scenes=60))
    assert same.value == pytest.approx(apart.value)
    assert same.unit_variance < 0.5 * apart.unit_variance


def test_models_of_the_same_seeds_are_paired() -> None:
    rates = np.repeat([[0.1], [0.5], [0.9]], 20, axis=1)
    paired = contrast_of(Term(rates + 0.05, "x", "a"), Term(rates, "x", "a", -1))
    apart = contrast_of(Term(rates + 0.05, "x", "a"), Term(rates, "x", "b", -1))
    assert paired.seed_variance == pytest.approx(0)
    assert apart.seed_variance == pytest.approx(2 * 0.16 / 3)


def test_two_seeds_tell_nothing_about_other_seeds() -> None:
    values = np.array([[1.0] * 30, [0.0] * 30])
    contrast = contrast_of(Term(values, "x", "a", scenes=30))
    assert (contrast.enough_seeds, contrast.over, contrast.p_value) == (False, "scenes", None)


def test_no_success_against_none_is_bounded_exactly() -> None:
    none = np.zeros((1, 4))
    contrast = contrast_of(Term(none, "x", scenes=8), Term(none, "x", weight=-1, scenes=8))
    # 4 pairs: a rate p gives no success with probability (1 - p)^4 = .025 at p = .6024.
    assert contrast.estimate.high == pytest.approx(1 - 0.025**0.25)
    assert contrast.estimate.low == pytest.approx(-(1 - 0.025**0.25))


def test_the_p_value_belongs_to_the_interval_that_reaches_zero() -> None:
    values = np.repeat([[0.2], [0.5], [0.8]], 40, axis=1)
    contrast = contrast_of(Term(values, "x", "a"))
    # t = .5 / (.3 / sqrt 3) with two degrees of freedom.
    assert contrast.p_value == pytest.approx(2 * student.sf(0.5 / (0.3 / 3**0.5), 2), abs=1e-6)


def test_missing_seeds_are_left_out() -> None:
    values = np.array([[0.2] * 8, [np.nan] * 8, [0.4] * 8])
    assert contrast_of(Term(values, "x", "a")).value == pytest.approx(0.3)
    assert combine([Term(np.full((2, 8), np.nan), "x", "a")]) is None


def test_more_seeds_or_scenes_would_decide() -> None:
    rng = np.random.default_rng(0)
    rates = np.array([[0.45], [0.5], [0.55], [0.6]])
    contrast = contrast_of(Term((rng.random((4, 100)) < rates).astype(float), "x", "a", 1, 100))
    bound = contrast.value - 0.75 * contrast.half_width(0.95)
    seeds = contrast.seeds_needed(bound, 0.95)
    assert seeds is not None
    assert 4 < seeds < 20
    # A bound that the interval excludes already needs no more scenes, one at the value no number.
    assert contrast.scenes_needed(contrast.value - 2 * contrast.half_width(0.95), 0.95) == 100
    assert contrast.scenes_needed(contrast.value, 0.95) is None


def test_twins_are_one_unit() -> None:
    # A constant Yes is correct on one scene of each pair: pairs do not vary.
    always_yes = np.array([[1.0, 0.0] * 10])
    assert pair_means(always_yes).tolist() == [[0.5] * 10]
    assert pair_means(np.zeros((1, 3))).shape == (1, 3)


@given(st.lists(st.lists(st.booleans(), min_size=8, max_size=8), min_size=3, max_size=6))
def test_swapping_the_samples_mirrors_the_interval(rows: list[list[bool]]) -> None:
    first, second = np.array(rows, float), 1 - np.array(rows, float)[::-1]
    forward = contrast_of(Term(first, "x", "a", 1, 8), Term(second, "x", "b", -1, 8)).estimate
    backward = contrast_of(Term(first, "x", "a", -1, 8), Term(second, "x", "b", 1, 8)).estimate
    assert forward.low == pytest.approx(-backward.high)
    assert forward.high == pytest.approx(-backward.low)
    assert forward.low <= forward.value <= forward.high
