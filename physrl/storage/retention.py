"""Retention: the choice of the checkpoints of a run that are kept."""

from collections.abc import Mapping
from math import isfinite

from physrl.types import JSON

Scores = Mapping[int, float | None]
"""The score of each checkpoint by its step; None where it was not evaluated."""


def score_of(state: JSON) -> float | None:
    """Return the finite `score` of a checkpoint's state; higher is better."""
    score = state.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float):
        return None
    try:
        number = float(score)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def best_first(scores: Scores) -> list[int]:
    """Sort the steps that have a score, the best first; ties put the later step first."""
    scored = [(score, step) for step, score in scores.items() if score is not None]
    return [step for _, step in sorted(scored, reverse=True)]


def kept_steps(scores: Scores, keep_last: int, keep_best: int) -> set[int]:
    """Choose the steps to keep: the last `keep_last` and the best `keep_best`."""
    return {*sorted(scores)[-keep_last:], *best_first(scores)[:keep_best]}
