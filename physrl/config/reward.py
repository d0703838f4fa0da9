"""What an outcome is worth: weights of the parts that are summed."""

from typing import Annotated, Literal

from pydantic import Field

from physrl.config.base import Section


class PaperRewardConfig(Section):
    """The study's analytic form: outcomes are still simulated, but it does not look at them."""

    type: Literal["paper"] = "paper"
    """Chooses this table."""
    paper: float = Field(1.0, gt=0)
    """Times the study's reward: from -5 to 10, 1 or 0 for a verdict."""
    early: float = Field(1.0, ge=0)
    """Earned by a success at the first of several attempts, less later, nothing at the last."""


class SimulatedRewardConfig(Section):
    """What happened when the action was carried out, as a weighted sum."""

    type: Literal["simulated"] = "simulated"
    """Chooses this table."""
    success: float = Field(1.0, ge=0)
    """Earned when the task is achieved: a tower stands as was asked, or a verdict is right."""
    height: float = Field(0.25, ge=0)
    """Times how much taller the world is at rest, between 0 and 1 block width."""
    moved: float = Field(0.5, ge=0)
    """Lost times how far the block that moved most moved, at most one block width."""
    distance: float = Field(0.0, ge=0)
    """Lost times the distance of the answer from the ideal, at most 3 block widths, over 3."""
    illegal: float = Field(0.5, ge=0)
    """Lost for an answer that puts a block inside another or below the ground."""
    unparseable: float = Field(1.0, ge=0)
    """Lost, and `distance` with it, for a completion that holds no single valid answer."""
    early: float = Field(0.25, ge=0)
    """Earned by a success at the first of several attempts, less later, nothing at the last."""
    paper: float = Field(0.0, ge=0)
    """Times the study's reward (type paper), to be mixed in."""


RewardConfig = Annotated[PaperRewardConfig | SimulatedRewardConfig, Field(discriminator="type")]
