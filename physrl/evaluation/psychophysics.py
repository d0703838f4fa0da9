"""Psychophysics of verdicts: curves over the margin, sensitivity, bias, consistency of errors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtri

from physrl.evaluation.crossed import Term, combine
from physrl.evaluation.estimate import Estimate
from physrl.evaluation.results import Answer
from physrl.evaluation.statistics import Floats

PRIOR_DEVIATION = 10.0
"""Standard deviation of the prior of the standardized slope, which keeps separable data finite."""
STEPS = 50
BINS = 10
"""Parts of the beliefs from 0 to 1 in a reliability diagram."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A logistic curve of the probability of *Yes* over the margin."""

    threshold: float | None
    """Margin at which *Yes* and *No* are equally likely, in block widths; 0 is correct. None if it
    is outside of the margins that were shown, as for a guesser.
    """
    slope: float
    """Steepness, per block width; positive if smaller margins make *Yes* more likely."""


@dataclass(frozen=True, slots=True)
class Detection:
    """Signal detection of falls."""

    sensitivity: float
    """d': separation of standing and falling towers in standard deviations; 0 is guessing."""
    bias: float
    """Criterion c: positive for too many *No*, negative for too many *Yes*."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """The verdicts whose beliefs lie in one of `BINS` equal parts of 0 to 1."""

    belief: float
    """Mean belief that the tower falls."""
    fell: float
    """Share of towers that fell."""
    count: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Agreement of beliefs with what happened."""

    brier: float
    """Mean squared distance of the belief from 1 for a fall and 0 for none; 0.25 is always 1/2."""
    error: float
    """Expected calibration error: mean distance of belief and share of falls over `points`."""
    points: tuple[Reliability, ...]
    """The reliability diagram, without empty parts."""


def fit_curve(margins: Floats, verdicts: Floats) -> Curve | None:
    """Fit a logistic regression of verdicts (1 for *Yes*) on margins, by Newton's method.

    The slope has a wide normal prior, and the margin is standardized. None if no margin differs, or
    if the verdicts are all equal: there is no threshold.
    """
    scale = float(margins.std()) if len(margins) else 0.0
    if scale == 0 or verdicts.min() == verdicts.max():
        return None
    design = np.stack([np.ones(len(margins)), (margins - margins.mean()) / scale], axis=1)
    precision = np.diag([0.0, PRIOR_DEVIATION**-2])
    weights = np.zeros(2)
    for _ in range(STEPS):
        rates = expit(design @ weights)
        gradient = design.T @ (verdicts - rates) - precision @ weights
        curvature = (design * (rates * (1 - rates))[:, None]).T @ design + precision
        weights = weights + np.linalg.solve(curvature, gradient)
        if np.abs(gradient).max() < 1e-8:
            break
    intercept, slope = weights
    threshold = margins.mean() - scale * intercept / slope if slope else np.inf
    is_shown = margins.min() <= threshold <= margins.max()
    return Curve(float(threshold) if is_shown else None, float(-slope / scale))


def detect(falls: Floats, verdicts: Floats) -> Detection | None:
    """Compute sensitivity and bias; None unless towers of both kinds were answered.

    Rates of 0 and 1 are moved inside by half an answer (log-linear correction, Hautus 1995).
    """
    falling, standing = verdicts[falls == 1], verdicts[falls == 0]
    if not len(falling) or not len(standing):
        return None
    hits, alarms = (
        float(ndtri((each.sum() + 0.5) / (len(each) + 1))) for each in (falling, standing)
    )
    return Detection(hits - alarms, -(hits + alarms) / 2)


def detect_by_belief(falls: Floats, beliefs: Floats) -> float | None:
    """Compute the sensitivity d_a from graded beliefs; None unless there are towers of both kinds.

    It is sqrt(2) z(A), A the area under the ROC curve (Macmillan and Creelman 2005): d' of an
    observer with equal variances, wherever the criterion is. So it also separates towers of which
    all verdicts are equal. Areas of 0 and 1 are moved inside by half of a pair of towers.
    """
    falling, standing = beliefs[falls == 1], beliefs[falls == 0]
    if not len(falling) or not len(standing):
        return None
    wins = (np.sign(falling[:, None] - standing) + 1) / 2
    return float(2**0.5 * ndtri((wins.sum() + 0.5) / (wins.size + 1)))


def calibrate(falls: Floats, beliefs: Floats) -> Calibration | None:
    """Compare beliefs with what happened; None without any."""
    if not len(falls):
        return None
    bins = np.minimum((beliefs * BINS).astype(int), BINS - 1)
    groups = [(bins == each) for each in range(BINS) if (bins == each).any()]
    points = tuple(
        Reliability(float(beliefs[each].mean()), float(falls[each].mean()), int(each.sum()))
        for each in groups
    )
    gaps = sum(abs(point.belief - point.fell) * point.count for point in points)
    return Calibration(float(np.square(beliefs - falls).mean()), gaps / len(falls), points)


def beliefs_of(answers: Sequence[Answer]) -> tuple[Floats, Floats]:
    """Collect true falls and beliefs of the answers whose probabilities were measured."""
    rows = [(answer.falls, belief) for answer in answers if (belief := answer.belief) is not None]
    falls, beliefs = np.array(rows, np.float64).reshape(-1, 2).T
    return falls, beliefs


def error_consistency(first: Floats, second: Floats) -> float | None:
    """Compute Cohen's kappa of two subjects' successes on the same items (Geirhos et al. 2020).

    0 is what independent subjects of these success rates share, 1 is the same errors. None if both
    always succeed or both never do.
    """
    observed = float((first == second).mean())
    rates = float(first.mean()), float(second.mean())
    expected = math.prod(rates) + (1 - rates[0]) * (1 - rates[1])
    return None if expected == 1 else (observed - expected) / (1 - expected)


def verdicts_of(answers: Sequence[Answer]) -> tuple[Floats, Floats, Floats]:
    """Collect margins, true falls and verdicts of the answers that were parsed, on scenes."""
    rows = [
        (answer.margin, answer.falls, answer.predicted_falls)
        for answer in answers
        if None not in (answer.margin, answer.falls, answer.predicted_falls)
    ]
    margins, falls, verdicts = np.array(rows, np.float64).reshape(-1, 3).T
    return margins, falls, verdicts


def over_seeds(values: Sequence[float | None]) -> Estimate | float | None:
    """Estimate a mean over seeds that have a value; None without any.

    With fewer than three seeds it is the mean alone, without an interval.
    """
    present = [value for value in values if value is not None]
    if not present:
        return None
    contrast = combine([Term(np.array(present)[:, None], "one", "seeds")])
    assert contrast is not None  # it has seeds
    return contrast.estimate if contrast.enough_seeds else contrast.value
