"""What probes find, drawn together: how well a target can be read, and whether it is acted on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from physrl.config.study import Target
from physrl.evaluation.probes import ProbeResult, ProbeScore, Source
from physrl.evaluation.resampling import CONFIDENCE, Estimate, Floats


@dataclass(frozen=True, slots=True)
class LayerCurve:
    """How well a target is read off each layer: the mean over folds, and its standard error."""

    layers: tuple[str, ...]
    means: Floats
    errors: Floats


def layer_curve(results: Sequence[ProbeResult], target: Target, source: Source) -> LayerCurve:
    """The curve of several models about the same scenes; empty where none was probed."""
    tables = [_table(result, target, source) for result in results]
    there = [(layers, table) for layers, table in tables if layers]
    if not there:
        return LayerCurve((), np.zeros(0), np.zeros(0))
    layers = there[0][0]
    by_fold = np.mean([table for names, table in there if names == layers], axis=0)
    folds = by_fold.shape[1]
    return LayerCurve(layers, by_fold.mean(axis=1), by_fold.std(axis=1, ddof=1) / folds**0.5)


def best_by_fold(result: ProbeResult, target: Target, source: Source) -> Floats | None:
    """The score of each fold at the layer that is best on the others; None where there is none.

    Whoever picks the best of many layers by the scores that he reports, reports too much.
    """
    layers, table = _table(result, target, source)
    if not layers:
        return None
    folds = table.shape[1]
    others = (table.sum(axis=1, keepdims=True) - table) / max(1, folds - 1)
    chosen: Floats = table[others.argmax(axis=0), np.arange(folds)]
    return chosen


def mean_over_folds(folds: Floats) -> Estimate:
    """A mean with Student's interval over folds, which share training scenes: a little narrow."""
    count = len(folds)
    mean = float(folds.mean())
    half = float(student.ppf((1 + CONFIDENCE) / 2, count - 1) * folds.std(ddof=1) / count**0.5)
    return Estimate(mean, mean - half, mean + half)


def _table(result: ProbeResult, target: Target, source: Source) -> tuple[tuple[str, ...], Floats]:
    """The layers in order, and layers x folds."""
    scores = [s for s in result.scores if (s.target, s.source) == (target, source)]
    ordered: list[ProbeScore] = sorted(scores, key=lambda score: score.depth)
    table = np.array([score.scores for score in ordered], np.float64)
    return tuple(score.layer for score in ordered), table
