"""Reward part of a right prediction."""

from physrl.types import Motion, Outcome, Unparseable


def prediction(predicted: Motion | Unparseable | None, outcome: Outcome) -> float:
    """Return 1 where the predicted motion is the simulated one, else 0; 0 if none was simulated."""
    return float(outcome.motion is not None and predicted == outcome.motion)
