"""`success_only`: nothing but success is rewarded."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from physrl.config.implementation import Implementation
from physrl.config.reward import RewardSection
from physrl.rewards.attempt import ScoredAttempt
from physrl.types import SceneSpec


class SuccessOnlyConfig(RewardSection):
    """Reward of success alone."""

    type: Literal["success_only"] = "success_only"
    """Selects this table."""
    success: float = Field(1.0, gt=0)
    """Weight of the part `success`."""


def parts(scene: SceneSpec, attempts: Sequence[ScoredAttempt]) -> dict[str, float]:
    """Return 1 if the last attempt succeeded; each key is weighted by the table's of that name."""
    return {"success": float(attempts[-1].outcome.success)}


SUCCESS_ONLY = Implementation(SuccessOnlyConfig, "physrl_keystone.reward:parts")
