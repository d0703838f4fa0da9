"""What an outcome is worth."""

from typing import Annotated, Literal

from pydantic import Field

from physrl.config.base import Section


class PaperRewardConfig(Section):
    """The study's analytic form: outcomes are still simulated, but it does not look at them."""

    type: Literal["paper"] = "paper"
    """Chooses this table."""


class SimulatedRewardConfig(Section):
    """What happened when the action was carried out, as a weighted sum."""

    type: Literal["simulated"] = "simulated"
    """Chooses this table."""
    success: float = Field(1.0, ge=0)
    """Earned when the task is achieved: every block at rest, the tower taller by one."""
    height: float = Field(0.25, ge=0)
    """Times how much taller the world is at rest, between 0 and 1 block width."""
    moved: float = Field(0.25, ge=0)
    """Lost times how far the block that moved most moved, at most one block width."""
    distance: float = Field(0.0, ge=0)
    """Lost times the distance of the answer from the ideal, at most 3 block widths, over 3."""
    illegal: float = Field(0.5, ge=0)
    """Lost for an answer that puts a block inside another or below the ground."""
    unparseable: float = Field(1.0, ge=0)
    """Lost, and `distance` with it, for a completion that holds no single valid answer."""


RewardConfig = Annotated[PaperRewardConfig | SimulatedRewardConfig, Field(discriminator="type")]
