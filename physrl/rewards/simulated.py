"""What happened when the action was carried out: parts between -1 and 1 of a simulated reward."""

from physrl.types import Outcome

FARTHEST = 3.0
"""Distances from the ideal count up to this many block widths."""


def success(outcome: Outcome) -> float:
    """1 for a task that is achieved."""
    return float(outcome.success)


def height(outcome: Outcome) -> float:
    """How much taller the world is at rest, up to 1 block width."""
    return min(max(outcome.height_gain, 0.0), 1.0)


def moved(outcome: Outcome) -> float:
    """Minus how far the block that moved most moved, up to 1 block width.

    Movement is the action's fault only where there is an action that places something.
    """
    return 0.0 if outcome.distance is None else -min(outcome.displacement, 1.0)


def distance(outcome: Outcome) -> float:
    """Minus the distance of the answer from the ideal, over 3 block widths; -1 for no answer."""
    if outcome.status == "unparseable":
        return -1.0
    return 0.0 if outcome.distance is None else -min(outcome.distance, FARTHEST) / FARTHEST


def illegal(outcome: Outcome) -> float:
    """-1 for an answer that puts a block inside another or below the ground."""
    return -float(outcome.status == "illegal")


def unparseable(outcome: Outcome) -> float:
    """-1 for a completion that holds no single valid answer."""
    return -float(outcome.status == "unparseable")
