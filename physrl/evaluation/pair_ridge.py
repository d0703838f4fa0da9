"""Ridge regression whose penalty is chosen by leaving out one pair of twins at a time.

Leaving out single scenes would leave a scene's twin in training, and choose too small a penalty.
scikit-learn's efficient choice leaves out single rows, and its choice by groups refits for every
penalty and group, with one penalty for all targets.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALPHAS = np.logspace(-1, 5, 13)
"""Penalties to choose from."""
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class PairRidge:
    """A fitted regression from features to several targets, each with its own penalty."""

    center: Floats
    intercepts: Floats
    weights: Floats
    """Features x targets."""
    penalties: Floats
    """The penalty of each target."""

    def predict(self, features: Floats) -> Floats:
        """Predict the targets, scenes x targets."""
        predicted: Floats = self.intercepts + (features - self.center) @ self.weights
        return predicted


def fit_pair_ridge(features: Floats, targets: Floats) -> PairRidge:
    """Fit a regression with an intercept that is not penalized.

    The errors of all pairs that are left out follow from one decomposition: they are those of the
    full fit, times the inverse of the pair's block of one minus the hat matrix.

    Args:
        features: scenes x features; rows 2k and 2k + 1 are twins.
        targets: scenes x targets.
    """
    center, intercepts = features.mean(axis=0), targets.mean(axis=0)
    left, singular, right = np.linalg.svd(features - center, full_matrices=False)
    squares = np.square(singular)
    projected = left.T @ (targets - intercepts)
    errors = np.stack(
        [
            _left_out_errors(left, squares / (squares + alpha), projected, targets - intercepts)
            for alpha in ALPHAS
        ]
    )
    penalties = ALPHAS[errors.argmin(axis=0)]
    shrunk = singular[:, None] / (squares[:, None] + penalties)
    return PairRidge(center, intercepts, right.T @ (shrunk * projected), penalties)


def _left_out_errors(left: Floats, shrinkage: Floats, projected: Floats, targets: Floats) -> Floats:
    """Compute each target's mean squared error on pairs that are left out."""
    residuals = (targets - left @ (shrinkage[:, None] * projected)).reshape(
        len(left) // 2, 2, targets.shape[1]
    )
    rows = left.reshape(len(left) // 2, 2, -1)
    hat = 1 / len(left) + np.einsum("pir,r,pjr->pij", rows, shrinkage, rows, optimize=True)
    left_out = np.linalg.solve(np.eye(2) - hat, residuals)
    errors: Floats = np.square(left_out).mean(axis=(0, 1))
    return errors
