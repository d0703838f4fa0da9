"""Weighted sum of the parts of the configured reward."""

from collections.abc import Sequence

from physrl.config.auxiliary import OutcomeConfig
from physrl.config.reward import REWARDS, RewardConfig
from physrl.rewards.attempt import Parts, ScoredAttempt
from physrl.types import Motion, Outcome, Question, Reward, SceneSpec, Unparseable


def score(
    scene: SceneSpec | Question,
    attempts: Sequence[ScoredAttempt],
    config: RewardConfig,
    auxiliary: OutcomeConfig | None = None,
) -> Reward:
    """Return the finite, bounded reward of a rollout.

    Where a prediction is asked for, `auxiliary.weight` is the weight of the part `outcome`.
    """
    parts: Parts = REWARDS.function(config.type)
    weighted = {
        name: getattr(config, name) * value for name, value in parts(scene, attempts).items()
    }
    if auxiliary is not None and auxiliary.predicts:
        last = attempts[-1]
        weighted["outcome"] = auxiliary.weight * prediction(last.predicted, last.outcome)
    return Reward(sum(weighted.values()), weighted)


def prediction(predicted: Motion | Unparseable | None, outcome: Outcome) -> float:
    """Return 1 where the predicted motion is the simulated one, else 0; 0 if none was simulated."""
    return float(outcome.motion is not None and predicted == outcome.motion)
