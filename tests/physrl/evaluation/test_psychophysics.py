from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from physrl.evaluation.estimate import Estimate
from physrl.evaluation.psychophysics import (
    Reliability,
    beliefs_of,
    calibrate,
    detect,
    detect_by_belief,
    error_consistency,
    fit_curve,
    over_seeds,
    verdicts_of,
)
from tests.support.answers import make_answer, make_verdict_answer


def test_the_curve_of_simulated_verdicts_is_recovered() -> None:
    rng = np.random.default_rng(0)
    margins = rng.uniform(-0.5, 0.5, 20_000)
    verdicts = (rng.random(20_000) < expit(-8 * (margins - 0.1))).astype(float)
    curve = fit_curve(margins, verdicts)
    assert curve is not None
    assert curve.threshold == pytest.approx(0.1, abs=0.01)
    assert curve.slope == pytest.approx(8, abs=0.3)


def test_a_perfect_observer_has_a_finite_curve_at_zero() -> None:
    margins = np.linspace(-0.5, 0.5, 40)
    curve = fit_curve(margins, (margins < 0).astype(float))
    assert curve is not None
    assert curve.threshold == pytest.approx(0, abs=1e-6)
    assert 20 < curve.slope < 1000


def test_equal_verdicts_have_no_curve() -> None:
    assert fit_curve(np.linspace(-1, 1, 9), np.ones(9)) is None
    assert fit_curve(np.ones(4), np.array([0.0, 1, 0, 1])) is None
    assert fit_curve(np.zeros(0), np.zeros(0)) is None


def test_a_guesser_has_no_threshold() -> None:
    curve = fit_curve(np.array([-0.1, -0.1, 0.1, 0.1]), np.array([1.0, 0, 1, 0]))
    assert curve is not None
    assert (curve.threshold, curve.slope) == (None, pytest.approx(0))


def test_detection_by_hand() -> None:
    falls = np.repeat([1.0, 0.0], 10)
    verdicts = np.array([1.0] * 8 + [0] * 2 + [1] * 3 + [0] * 7)
    found = detect(falls, verdicts)
    # (8 + .5) / 11 hits, (3 + .5) / 11 false alarms.
    hits, alarms = norm.ppf(8.5 / 11), norm.ppf(3.5 / 11)
    assert found is not None
    assert found.sensitivity == pytest.approx(hits - alarms)
    assert found.bias == pytest.approx(-(hits + alarms) / 2)
    constant = detect(falls, np.ones(20))
    assert constant is not None
    assert constant.sensitivity == 0
    assert constant.bias < -1
    assert detect(np.ones(3), np.ones(3)) is None


def test_error_consistency_by_hand() -> None:
    first, second = np.array([1.0, 1, 0, 0]), np.array([1.0, 0, 0, 0])
    # Equal on 3 of 4; by chance .5 x .25 + .5 x .75 = .5.
    assert error_consistency(first, second) == pytest.approx((0.75 - 0.5) / 0.5)
    assert error_consistency(first, first) == 1
    assert error_consistency(np.ones(4), np.ones(4)) is None


def test_unparsed_answers_and_photographs_are_left_out() -> None:
    answers = [
        make_verdict_answer("0", True, True),
        make_verdict_answer("1", None, False),
        make_answer(2),
    ]
    margins, falls, verdicts = verdicts_of(answers)
    assert (margins.tolist(), falls.tolist(), verdicts.tolist()) == ([-0.25], [1.0], [1.0])
    assert verdicts_of([])[0].shape == (0,)


def test_values_of_seeds_have_students_interval() -> None:
    found = over_seeds([0.2, None, 0.5, 0.8])
    assert isinstance(found, Estimate)
    # t(.975, 2) = 4.3027, deviation .3.
    assert (found.value, found.high) == pytest.approx((0.5, 0.5 + 4.3027 * 0.3 / 3**0.5), abs=1e-4)
    assert over_seeds([None]) is None
    assert over_seeds([0.2, 0.4]) == pytest.approx(0.3)


def test_graded_sensitivity_is_that_of_a_normal_observer_wherever_the_criterion_is() -> None:
    rng = np.random.default_rng(0)
    falls = np.repeat([1.0, 0.0], 2000)
    evidence = rng.normal(size=4000) + 1.5 * falls
    for criterion in (0.0, 4.0):  # with the second, nearly all verdicts are No
        found = detect_by_belief(falls, expit(evidence - criterion))
        assert found == pytest.approx(1.5, abs=0.06)
    # 3 of 4 pairs are ordered rightly: (3 + .5) / 5.
    four = detect_by_belief(np.array([1.0, 1, 0, 0]), np.array([0.9, 0.4, 0.6, 0.1]))
    assert four == pytest.approx(2**0.5 * norm.ppf(0.7))
    assert detect_by_belief(np.ones(3), np.ones(3)) is None
    assert detect_by_belief(np.array([1.0, 0.0]), np.full(2, 0.5)) == pytest.approx(0)


def test_calibration_by_hand() -> None:
    found = calibrate(np.array([1.0, 0, 1, 1]), np.array([0.25, 0.21, 1.0, 0.95]))
    assert found is not None
    assert found.brier == pytest.approx((0.75**2 + 0.21**2 + 0 + 0.05**2) / 4)
    assert [(point.fell, point.count) for point in found.points] == [(0.5, 2), (1.0, 2)]
    assert found.points[0] == Reliability(pytest.approx(0.23), 0.5, 2)
    assert found.error == pytest.approx((2 * 0.27 + 2 * 0.025) / 4)
    assert calibrate(np.zeros(0), np.zeros(0)) is None


def test_calibrated_beliefs_have_no_error_and_the_best_brier_score() -> None:
    rng = np.random.default_rng(1)
    beliefs = rng.random(50_000)
    falls = (rng.random(50_000) < beliefs).astype(float)
    honest, bold = calibrate(falls, beliefs), calibrate(falls, (beliefs > 0.5).astype(float))
    assert honest is not None
    assert bold is not None
    assert (honest.error, honest.brier) == pytest.approx((0, 1 / 6), abs=0.01)
    assert bold.error > 0.2
    assert bold.brier > honest.brier


def test_a_belief_is_the_share_of_yes_in_both_verdicts() -> None:
    sure = replace(make_verdict_answer("0", True, True), probability_yes=0.75, probability_no=0.25)
    unknown = make_verdict_answer("1", True, False)
    never = replace(unknown, probability_yes=0.0, probability_no=0.0)
    assert [answer.belief for answer in (sure, unknown, never)] == [0.75, None, None]
    falls, beliefs = beliefs_of([sure, unknown, never])
    assert (falls.tolist(), beliefs.tolist()) == ([1.0], [0.75])
    assert beliefs_of([])[0].shape == (0,)
