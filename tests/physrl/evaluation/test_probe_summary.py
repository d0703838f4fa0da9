import math

import numpy as np
import pytest

from physrl.evaluation.probe_results import ProbeResult, ProbeScore
from physrl.evaluation.probe_summary import best_layer_scores, fold_estimate, layer_curve


def result(*layers: tuple[float, ...]) -> ProbeResult:
    scores = [
        ProbeScore("margin", "model", f"language.{depth}", depth, folds)
        for depth, folds in enumerate(layers)
    ]
    return ProbeResult("key", tuple(reversed(scores)))


def test_the_best_layer_is_chosen_without_the_fold_that_it_is_scored_on() -> None:
    # Fold 1 alone would choose the first layer for its lucky 0.9; the other two choose the second.
    scores = best_layer_scores(result((0.9, 0.1, 0.1), (0.5, 0.6, 0.6)), "margin", "model")
    assert scores is not None
    # Without fold 1: .1 against .6. Without 2 or 3: .5 against .55.
    assert scores.tolist() == [0.5, 0.6, 0.6]
    assert best_layer_scores(result(), "margin", "model") is None
    assert best_layer_scores(result((0.1, 0.2)), "margin", "pixels") is None


def test_curves_run_from_the_first_layer_to_the_last() -> None:
    one, other = result((0.1, 0.3), (0.5, 0.7)), result((0.3, 0.5), (0.5, 0.7))
    curve = layer_curve([one, other], "margin", "model")
    assert curve.layers == ("language.0", "language.1")
    assert curve.means == pytest.approx([0.3, 0.6])
    # Folds of the mean model: .2 and .4, so a deviation of .1 sqrt(2), over sqrt(2).
    assert curve.errors == pytest.approx([0.1, 0.1])
    assert layer_curve([], "margin", "model").layers == ()


def test_folds_have_students_t_interval_for_folds_that_share_scenes() -> None:
    scores = fold_estimate(np.array([0.4, 0.5, 0.6]))
    # t(.975, 2) = 4.3027, deviation .1, times sqrt(1/3 + 1/2): each fold tests half of what it
    # trains on.
    assert scores.value == pytest.approx(0.5)
    assert scores.high - 0.5 == pytest.approx(4.3027 * 0.1 * math.sqrt(1 / 3 + 1 / 2), abs=1e-4)
