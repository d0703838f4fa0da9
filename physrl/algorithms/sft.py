"""SFT and rejection sampling: cross entropy on the tokens of targets, or of successes."""

from torch import Tensor

from physrl.algorithms.aggregation import token_mean
from physrl.algorithms.loss import LossInputs, LossMetrics
from physrl.config.algorithm import RejectionConfig, SFTConfig


def sft_loss(config: SFTConfig | RejectionConfig) -> "SFTLoss":
    """Make the loss, which has no settings."""
    return SFTLoss()


class SFTLoss:
    """The cross entropy, averaged over the update's target tokens."""

    def __call__(self, inputs: LossInputs) -> tuple[Tensor, LossMetrics]:
        entropy = token_mean(inputs.entropy, inputs)
        return -token_mean(inputs.logprobs, inputs), {"entropy": entropy}
