"""SFT: cross entropy on the ideal answer's tokens."""

from torch import Tensor

from physrl.algorithms.aggregation import mean_of_tokens
from physrl.algorithms.loss import LossInputs, LossMetrics
from physrl.config.algorithm import SFTConfig


def sft_loss(config: SFTConfig) -> "SFTLoss":
    """It has nothing to configure."""
    return SFTLoss()


class SFTLoss:
    """-log p of each target token, mean over the update's target tokens."""

    def __call__(self, inputs: LossInputs) -> tuple[Tensor, LossMetrics]:
        entropy = mean_of_tokens(inputs.entropy, inputs)
        return -mean_of_tokens(inputs.logprobs, inputs), {"entropy": entropy}
