import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from physrl.evaluation.pair_ridge import ALPHAS, fit_pair_ridge


def test_the_penalty_is_that_of_the_smallest_error_on_left_out_pairs() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(24, 6))
    noise = np.repeat(rng.normal(size=(12, 2)), 2, axis=0)  # twins share it
    targets = features[:, :2] * [1.0, 0.1] + noise
    errors = np.zeros((len(ALPHAS), 2))
    for number, alpha in enumerate(ALPHAS):
        for pair in range(12):
            test = [2 * pair, 2 * pair + 1]
            train = [row for row in range(24) if row not in test]
            # The intercept is fitted anew, so that refitting is the same as leaving out.
            model = Ridge(alpha).fit(features[train], targets[train])
            errors[number] += np.square(model.predict(features[test]) - targets[test]).sum(axis=0)
    fitted = fit_pair_ridge(features, targets)
    assert fitted.penalties == pytest.approx(ALPHAS[errors.argmin(axis=0)])
    for column in range(2):
        model = Ridge(fitted.penalties[column]).fit(features, targets[:, column])
        assert fitted.predict(features)[:, column] == pytest.approx(model.predict(features))


def test_twins_do_not_lower_the_penalty() -> None:
    # Twins share features and noise: a scene would be predicted from its twin.
    rng = np.random.default_rng(1)
    features = np.repeat(rng.normal(size=(30, 100)), 2, axis=0)
    targets = np.repeat(rng.normal(size=(30, 1)), 2, axis=0)
    assert RidgeCV(ALPHAS).fit(features, targets[:, 0]).alpha_ == pytest.approx(ALPHAS[0])
    assert fit_pair_ridge(features, targets).penalties[0] >= 100
