"""What happened when the action was carried out, as a weighted sum."""

from physrl.config.reward import SimulatedRewardConfig
from physrl.types import Outcome, Reward

FARTHEST = 3.0
"""Distances from the ideal count up to this many block widths."""


def simulated_reward(outcome: Outcome, weights: SimulatedRewardConfig) -> Reward:
    """Bounded by the weights: at most success + height, at least -(the largest losses).

    An illegal or unparseable answer earns only its own loss, and that of its distance.
    """
    nearness = 0.0 if outcome.distance is None else min(outcome.distance, FARTHEST) / FARTHEST
    parts = {
        "success": weights.success * outcome.success,
        "height": weights.height * min(max(outcome.height_gain, 0.0), 1.0),
        "moved": -weights.moved * _lost_to_movement(outcome),
        "distance": -weights.distance * nearness,
        "illegal": -weights.illegal * (outcome.status == "illegal"),
        "unparseable": -(weights.unparseable + weights.distance)
        * (outcome.status == "unparseable"),
    }
    return Reward(sum(parts.values()), parts)


def _lost_to_movement(outcome: Outcome) -> float:
    """Movement is the action's fault only where there is an action to place something."""
    return 0.0 if outcome.distance is None else min(outcome.displacement, 1.0)
