from physrl.algorithms.metrics import average, combine


def test_shares_are_summed_and_extremes_kept() -> None:
    shares = [
        {"loss": 1.0, "a/max": 3.0, "clip_ratio/low_min": 0.5},
        {"loss": 2.0, "a/max": -1.0, "clip_ratio/low_min": 0.25},
    ]
    assert combine(shares) == {"loss": 3.0, "a/max": 3.0, "clip_ratio/low_min": 0.25}


def test_a_step_is_the_mean_of_the_updates_that_have_a_key() -> None:
    updates = [{"loss": 1.0, "a/min": 3.0}, {"loss": 2.0, "a/min": 1.0, "kl": 4.0}]
    assert average(updates) == {"loss": 1.5, "a/min": 1.0, "kl": 4.0}
