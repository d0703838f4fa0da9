"""Which checkpoints of a run stay."""

from collections.abc import Mapping
from math import isfinite

from physrl.types import JSON

Scores = Mapping[int, float | None]
"""What each checkpoint's step scored; None where nothing was measured."""


def score_of(state: JSON) -> float | None:
    """The finite number under `score` in a checkpoint's state; higher is better."""
    score = state.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not isfinite(score):
        return None
    return float(score)


def best_first(scores: Scores) -> list[int]:
    """The steps that have a score, the best first; of equal ones the later first."""
    scored = [(score, step) for step, score in scores.items() if score is not None]
    return [step for _, step in sorted(scored, reverse=True)]


def kept(scores: Scores, keep_last: int, keep_best: int) -> set[int]:
    """The steps whose checkpoints stay: the last ones, and the best ones wherever they lie."""
    return {*sorted(scores)[-keep_last:], *best_first(scores)[:keep_best]}
