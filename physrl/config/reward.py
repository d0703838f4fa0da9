"""Rewards by `type`: tables of weights of the parts that are summed."""

from typing import Annotated, Literal

from pydantic import Field

from physrl.config.base import TypedSection
from physrl.config.implementation import Implementation, TypedRegistry


class RewardSection(TypedSection):
    """Base of all rewards. Every key but `type` is the weight of the part of that name."""


class PaperRewardConfig(RewardSection):
    """Analytic reward of the study (arXiv 2602.06033); outcomes are simulated but do not count."""

    type: Literal["paper"] = "paper"
    """Selects this table."""
    paper: float = Field(1.0, gt=0)
    """Weight of the study's reward, which lies between -5 and 10; 1 or 0 for a verdict."""
    early: float = Field(1.0, ge=0)
    """Bonus for success at the first of several attempts, falling to 0 at the last."""


class SimulatedRewardConfig(RewardSection):
    """Weighted sum of what the simulator shows after the action."""

    type: Literal["simulated"] = "simulated"
    """Selects this table."""
    success: float = Field(1.0, ge=0)
    """Reward of success: the task is achieved, or the verdict is right."""
    height: float = Field(0.25, ge=0)
    """Reward of a block width by which the tower at rest is taller, up to 1 block width."""
    moved: float = Field(0.5, ge=0)
    """Penalty of a block width by which the block that moves most moves, up to 1 block width."""
    distance: float = Field(0.0, ge=0)
    """Penalty of an answer 3 block widths or more from the ideal one; less in proportion."""
    illegal: float = Field(0.5, ge=0)
    """Penalty of an answer that puts a block inside another or below the ground."""
    unparseable: float = Field(1.0, ge=0)
    """Penalty, added to that of `distance`, of a completion without exactly one valid answer."""
    early: float = Field(0.25, ge=0)
    """Bonus for success at the first of several attempts, falling to 0 at the last."""
    paper: float = Field(0.0, ge=0)
    """Weight of the study's reward (type `paper`), to mix it in."""


REWARDS = TypedRegistry(
    "physrl.rewards",
    (RewardSection,),
    {
        "simulated": Implementation(SimulatedRewardConfig, "physrl.rewards.simulated:parts"),
        "paper": Implementation(PaperRewardConfig, "physrl.rewards.paper:parts"),
    },
)
"""Configuration classes and the functions of their parts."""
RewardConfig = Annotated[RewardSection, REWARDS]
