import pytest

from physrl.evaluation.adaptation import AdaptationCurve, area_under, samples_saved, samples_to


def curve(*shares: float) -> AdaptationCurve:
    """Make a curve over 0, 1, 2 and 4 steps of 10 samples, measured on 10 scenes."""
    rows = tuple(tuple(scene < share * 10 for scene in range(10)) for share in shares)
    return AdaptationCurve("key", (0, 1, 2, 4), 10, rows)


def test_the_area_weights_measurements_by_the_distance_of_steps() -> None:
    # (0 + .2) / 2 + (.2 + .4) / 2 + 2 (.4 + .8) / 2 = .1 + .3 + 1.2, over 4 steps.
    assert area_under(curve(0, 0.2, 0.4, 0.8)) == pytest.approx(0.4)


def test_samples_are_interpolated_linearly() -> None:
    rising = curve(0, 0.2, 0.4, 0.8)
    assert samples_to(rising, 0.0) == 0
    assert samples_to(rising, 0.2) == pytest.approx(10)
    assert samples_to(rising, 0.6) == pytest.approx(30)
    assert samples_to(rising, 0.9) is None


def test_samples_saved_are_relative_to_the_base() -> None:
    base = curve(0, 0.1, 0.2, 0.4)
    assert samples_saved(curve(0, 0.4, 0.4, 0.4), base) == pytest.approx(30)
    assert samples_saved(curve(0, 0, 0, 0.1), base) is None
    assert samples_saved(base, base) == 0


def test_a_base_that_never_improves_has_no_samples_to_save() -> None:
    assert samples_saved(curve(0, 0.4, 0.4, 0.4), curve(0, 0, 0, 0)) is None
    assert samples_saved(curve(0.4, 0.4, 0.4, 0.4), curve(0.3, 0.1, 0.3, 0.2)) is None


def test_a_curve_with_a_missing_measurement_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"successes.*1.*2"):
        AdaptationCurve("key", (0, 1), 10, ((True,),))
