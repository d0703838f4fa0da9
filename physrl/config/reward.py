"""Rewards by `type`: tables of weights of the parts that are summed."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from physrl.config.base import TypedSection
from physrl.config.implementation import Implementation, TypedRegistry
from physrl.types import QUESTIONS


class RewardSection(TypedSection):
    """Base of all rewards. Every key but `type` is the weight of the part of that name."""

    trains: ClassVar[tuple[str, ...]] = ()
    """Tasks that the reward can train; empty: all but `questions`."""


class AuthorsRewardConfig(RewardSection):
    """Reward of the authors' first script, exactly; it has one for `place` alone."""

    trains: ClassVar[tuple[str, ...]] = ("place", "place_closed_loop")
    type: Literal["authors"] = "authors"
    """Selects this table."""
    authors: float = Field(1.0, gt=0)
    """Weight of the script's reward, at most 10: on top 10 - d, beside 5 - d, else -5."""


class PaperRewardConfig(RewardSection):
    """Reward of the final paper (arXiv 2602.06033) as this project understands it."""

    type: Literal["paper"] = "paper"
    """Selects this table."""
    paper: float = Field(1.0, gt=0)
    """Weight of the paper's reward, which lies between -5 and 10; 1 or 0 for a verdict."""
    early: float = Field(1.0, ge=0)
    """Bonus for success at the first of several attempts, falling to 0 at the last."""


class SimulatedRewardConfig(RewardSection):
    """Weighted sum of what the simulator shows, and of the nearness to the ideal answer."""

    type: Literal["simulated"] = "simulated"
    """Selects this table."""
    success: float = Field(1.0, ge=0)
    """Reward of success: the task is achieved, or the verdict is right."""
    height: float = Field(0.25, ge=0)
    """Reward of a block width by which the tower at rest is taller, up to 1 block width."""
    moved: float = Field(0.0, ge=0)
    """Penalty of a block width by which the block that moves most moves, up to 1 block width. It
    rewards leaving the block alone: a policy that has no success yet may learn just that."""
    distance: float = Field(0.5, ge=0)
    """Penalty of an answer far from the ideal one: half of it one block width away."""
    illegal: float = Field(0.0, ge=0)
    """Penalty of an answer that puts a block inside another or below the ground. It bars the way of
    a policy that starts beside the tower."""
    unparseable: float = Field(1.0, ge=0)
    """Penalty, added to that of `distance`, of a completion without exactly one valid answer."""
    early: float = Field(0.25, ge=0)
    """Bonus for success at the first of several attempts, falling to 0 at the last."""
    paper: float = Field(0.0, ge=0)
    """Weight of the paper's reward (type `paper`), to mix it in."""


class ExactRewardConfig(RewardSection):
    """Reward of an answer that is the reference answer, for questions about your own images."""

    trains: ClassVar[tuple[str, ...]] = (QUESTIONS,)
    type: Literal["exact"] = "exact"
    """Selects this table."""
    success: float = Field(1.0, ge=0)
    """Reward of the right answer: case, spaces and a full stop at the end do not matter, and
    numbers are compared as numbers."""
    unparseable: float = Field(0.5, ge=0)
    """Penalty of a completion without exactly one answer."""


REWARDS = TypedRegistry(
    "physrl.rewards",
    (RewardSection,),
    {
        "simulated": Implementation(SimulatedRewardConfig, "physrl.rewards.simulated:parts"),
        "paper": Implementation(PaperRewardConfig, "physrl.rewards.paper:parts"),
        "authors": Implementation(AuthorsRewardConfig, "physrl.rewards.authors:parts"),
        "exact": Implementation(ExactRewardConfig, "physrl.rewards.exact:parts"),
    },
)
"""Configuration classes and the functions of their parts."""
RewardConfig = Annotated[RewardSection, REWARDS]


def check_trains(reward: RewardSection, tasks: Sequence[str]) -> None:
    """Refuse a reward that cannot train a task.

    Raises:
        ValueError: it cannot.
    """
    for task in tasks:
        if task in reward.trains or (not reward.trains and task != QUESTIONS):
            continue
        other = "exact" if task == QUESTIONS else "paper"
        alone = f", or train {' or '.join(reward.trains)} alone" if reward.trains else ""
        raise ValueError(
            f"reward.type is {reward.type}, which rewards nothing in {task}: set "
            f"reward.type={other}{alone}"
        )
