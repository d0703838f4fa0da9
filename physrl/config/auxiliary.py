"""Auxiliary objective: predict the physical outcome of an action."""

from typing import Literal

from pydantic import Field

from physrl.config.base import Section


class OutcomeConfig(Section):
    """Prediction of the first motion after an action: which block moves first, to which side."""

    type: Literal["outcome"] = "outcome"
    """Selects this table."""
    mode: Literal["inline", "separate"] = "inline"
    """Place of the prediction. `inline`: in each completion, before its answer, in training and in
    evaluation. `separate`: SFT has a second example for each scene, whose question supposes an
    action and whose target is the prediction."""
    weight: float = Field(0.25, gt=0)
    """Weight of the prediction. `inline`: reward of a right one; SFT weighs its tokens like the
    answer's. `separate`: weight of a token of the second example, relative to the first."""

    @property
    def predicts(self) -> bool:
        """True if completions contain a prediction."""
        return self.mode == "inline"
