"""SFT: cross entropy on the ideal answer's tokens."""

from dataclasses import dataclass

from torch import Tensor

from physrl.algorithms.loss import LossInputs, LossMetrics


@dataclass(frozen=True)
class SFTLoss:
    """-log p of each target token, mean over the update's target tokens."""

    def __call__(self, inputs: LossInputs) -> tuple[Tensor, LossMetrics]:
        return -(inputs.logprobs * inputs.mask).sum() / inputs.tokens, {}
