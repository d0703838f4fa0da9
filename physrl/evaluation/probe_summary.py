"""Scores of probes and effects of interventions, summarized over layers, models and scenes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # loads at first use: a second that drivers start without

from physrl.config.study import Target
from physrl.evaluation.estimate import Estimate
from physrl.evaluation.probe_results import CauseScore, Measure, ProbeResult, Role, Source
from physrl.evaluation.statistics import CONFIDENCE, Floats


@dataclass(frozen=True, slots=True)
class LayerCurve:
    """Probe scores of one target by layer: means over folds with standard errors."""

    layers: tuple[str, ...]
    means: Floats
    errors: Floats


def layer_curve(results: Sequence[ProbeResult], target: Target, source: Source) -> LayerCurve:
    """Average several models' scores on the same scenes; empty if none was probed."""
    tables = [_score_table(result, target, source) for result in results]
    probed = [(layers, table) for layers, table in tables if layers]
    if not probed:
        return LayerCurve((), np.zeros(0), np.zeros(0))
    layers = probed[0][0]
    scores = np.mean([table for names, table in probed if names == layers], axis=0)
    folds = scores.shape[1]
    return LayerCurve(layers, scores.mean(axis=1), scores.std(axis=1, ddof=1) / folds**0.5)


@dataclass(frozen=True, slots=True)
class CauseCurve:
    """Effects of an intervention by layer, with intervals over pairs of twins."""

    layers: tuple[str, ...]
    effects: tuple[Estimate | None, ...]
    """None where no pair has a gap, or no answers differ."""


def cause_curve(results: Sequence[ProbeResult], measure: Measure, role: Role) -> CauseCurve:
    """Estimate effects over the pairs of several models on the same scenes; empty without any."""
    by_layer: dict[str, list[CauseScore]] = {}
    for result in results:
        for score in result.causes:
            if (score.measure, score.role) == (measure, role):
                by_layer.setdefault(score.layer, []).append(score)
    effects = tuple(
        share_estimate(
            np.sum([score.moved for score in scores], axis=0),
            np.sum([score.gaps for score in scores], axis=0),
        )
        for scores in by_layer.values()
    )
    return CauseCurve(tuple(by_layer), effects)


def share_estimate(moved: Floats, gaps: Floats) -> Estimate | None:
    """Estimate a sum over pairs divided by another one, with Student's interval; None by zero.

    The variance of the ratio is that of its residuals (Cochran 1977).
    """
    total, pairs = float(gaps.sum()), len(gaps)
    if total == 0 or pairs < 2:
        return None
    share = float(moved.sum()) / total
    residuals = moved - share * gaps
    deviation = (pairs / (pairs - 1) * float(np.square(residuals).sum())) ** 0.5 / total
    half = float(scipy.special.stdtrit(pairs - 1, (1 + CONFIDENCE) / 2)) * deviation
    return Estimate(share, share - half, share + half, "scenes")


def best_layer_scores(result: ProbeResult, target: Target, source: Source) -> Floats | None:
    """Select each fold's score at the layer that is best on the other folds; None without probes.

    Choosing the layer on the fold that is reported would bias the score upward.
    """
    layers, table = _score_table(result, target, source)
    if not layers:
        return None
    folds = table.shape[1]
    others = (table.sum(axis=1, keepdims=True) - table) / max(1, folds - 1)
    chosen: Floats = table[others.argmax(axis=0), np.arange(folds)]
    return chosen


def fold_estimate(scores: Floats) -> Estimate:
    """Estimate a mean over folds with Student's interval, over scenes alone."""
    widened = widen_folds(scores)
    count, mean = len(scores), float(scores.mean())
    quantile = float(scipy.special.stdtrit(count - 1, (1 + CONFIDENCE) / 2))
    half = quantile * float(widened.std(ddof=1)) / count**0.5
    return Estimate(mean, mean - half, mean + half, "scenes")


def widen_folds(scores: Floats) -> Floats:
    """Move fold scores away from their mean, since folds share training scenes.

    The variance of their mean is that of independent folds times 1 + k / (k - 1) (Nadeau and
    Bengio 2003: 1 / k + test / training scenes in place of 1 / k).
    """
    folds, mean = len(scores), scores.mean()
    widened: Floats = mean + (scores - mean) * (1 + folds / (folds - 1)) ** 0.5
    return widened


def _score_table(
    result: ProbeResult, target: Target, source: Source
) -> tuple[tuple[str, ...], Floats]:
    """Collect the layers in order of depth, and their scores, layers x folds."""
    scores = [s for s in result.scores if (s.target, s.source) == (target, source)]
    scores.sort(key=lambda score: score.depth)
    table = np.array([score.scores for score in scores], np.float64)
    return tuple(score.layer for score in scores), table
