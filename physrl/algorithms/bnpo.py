"""BNPO: GRPO averaged over the batch's tokens, under the name that TRL gave it."""

from physrl.algorithms.aggregation import token_mean
from physrl.algorithms.policy_gradient import PolicyGradientLoss
from physrl.algorithms.ratio import token_ratio
from physrl.algorithms.surrogate import clipped_tokens
from physrl.config.algorithm import BNPOConfig


def bnpo_loss(config: BNPOConfig) -> PolicyGradientLoss:
    """Clip token ratios and average over all tokens of the update.

    TRL averages over each micro-batch's tokens and then over micro-batches, so its
    loss depends on the packing; here it does not.
    """
    return PolicyGradientLoss(token_ratio, clipped_tokens(config), token_mean, config)
