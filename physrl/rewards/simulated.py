"""Reward of what the simulator shows after the action: parts between -1 and 1."""

from collections.abc import Sequence

from physrl.rewards import paper
from physrl.rewards.attempt import ScoredAttempt
from physrl.types import Outcome, SceneSpec


def parts(scene: SceneSpec, attempts: Sequence[ScoredAttempt]) -> dict[str, float]:
    """Return all parts of the last attempt, and those of the study's reward."""
    outcome = attempts[-1].outcome
    return {
        "success": success(outcome),
        "height": height(outcome),
        "moved": moved(outcome),
        "distance": distance(outcome),
        "illegal": illegal(outcome),
        "unparseable": unparseable(outcome),
    } | paper.parts(scene, attempts)


def success(outcome: Outcome) -> float:
    """Return 1 if the task was achieved."""
    return float(outcome.success)


def height(outcome: Outcome) -> float:
    """Return by how much the tower at rest is taller, up to 1 block width."""
    return min(max(outcome.height_gain, 0.0), 1.0)


def moved(outcome: Outcome) -> float:
    """Return minus the largest displacement of a block, up to 1 block width.

    Verdicts place nothing and are not blamed for movement: 0.
    """
    return 0.0 if outcome.distance is None else -min(outcome.displacement, 1.0)


def distance(outcome: Outcome) -> float:
    """Return minus d / (1 + d), d the answer's distance from the ideal; -1 for no answer.

    It falls everywhere: half of it lies within one block width, and an answer ten widths away
    still earns more than one that is eleven away.
    """
    if outcome.status == "unparseable":
        return -1.0
    return 0.0 if outcome.distance is None else -outcome.distance / (1 + outcome.distance)


def illegal(outcome: Outcome) -> float:
    """Return -1 for an answer that puts a block inside another or below the ground."""
    return -float(outcome.status == "illegal")


def unparseable(outcome: Outcome) -> float:
    """Return -1 for a completion without exactly one valid answer."""
    return -float(outcome.status == "unparseable")
