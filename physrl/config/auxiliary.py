"""What is learned beside the task: to foretell what the simulator will show."""

from typing import Literal

from pydantic import Field

from physrl.config.base import Section


class OutcomeConfig(Section):
    """A world model: which block moves first, and to which side?"""

    type: Literal["outcome"] = "outcome"
    """Chooses this table."""
    mode: Literal["before", "target"] = "before"
    """`before`: the model says so before it answers, in training and whenever it is asked later.
    `target`: SFT gets a second question about each scene and its true answer."""
    weight: float = Field(0.25, gt=0)
    """`before`: what a right prediction earns in reinforcement; SFT imitates it like the rest of
    the answer. `target`: what a token of the second answer counts, where one of the first counts 1.
    """

    @property
    def foretells(self) -> bool:
        """Whether a completion is to hold a prediction."""
        return self.mode == "before"
