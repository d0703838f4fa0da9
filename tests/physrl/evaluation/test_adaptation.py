import pytest

from physrl.evaluation.adaptation import AdaptationCurve, area_under, samples_saved, samples_to


def curve(*shares: float) -> AdaptationCurve:
    """Measured after 0, 1, 2, 4 steps of 10 samples on 10 scenes."""
    rows = tuple(tuple(scene < share * 10 for scene in range(10)) for share in shares)
    return AdaptationCurve("key", (0, 1, 2, 4), 10, rows)


def test_the_area_counts_measurements_by_the_steps_between_them() -> None:
    # (0 + .2) / 2 + (.2 + .4) / 2 + 2 (.4 + .8) / 2 = .1 + .3 + 1.2, over 4 steps.
    assert area_under(curve(0, 0.2, 0.4, 0.8)) == pytest.approx(0.4)


def test_samples_are_counted_along_straight_lines() -> None:
    rising = curve(0, 0.2, 0.4, 0.8)
    assert samples_to(rising, 0.0) == 0
    assert samples_to(rising, 0.2) == pytest.approx(10)
    assert samples_to(rising, 0.6) == pytest.approx(30)
    assert samples_to(rising, 0.9) is None


def test_samples_saved_are_those_that_the_base_needs_more() -> None:
    base = curve(0, 0.1, 0.2, 0.4)
    assert samples_saved(curve(0, 0.4, 0.4, 0.4), base) == pytest.approx(30)
    assert samples_saved(curve(0, 0, 0, 0.1), base) is None
    assert samples_saved(base, base) == 0


def test_a_base_that_learns_nothing_leaves_nothing_to_save() -> None:
    assert samples_saved(curve(0, 0.4, 0.4, 0.4), curve(0, 0, 0, 0)) is None
    assert samples_saved(curve(0.4, 0.4, 0.4, 0.4), curve(0.3, 0.1, 0.3, 0.2)) is None


def test_a_curve_without_a_measurement_is_refused() -> None:
    with pytest.raises(ValueError, match="one measurement"):
        AdaptationCurve("key", (0, 1), 10, ((True,),))
