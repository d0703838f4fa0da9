"""BNPO: GRPO averaged over the batch's tokens, under the name that TRL gave it."""

from physrl.algorithms.aggregation import mean_of_tokens
from physrl.algorithms.policy_gradient import PolicyGradientLoss
from physrl.algorithms.ratio import token_ratio
from physrl.algorithms.surrogate import clipped_tokens
from physrl.config.algorithm import BNPOConfig


def bnpo_loss(config: BNPOConfig) -> PolicyGradientLoss:
    """Clipped ratios of tokens, averaged over all tokens of the update.

    TRL averages over each micro-batch's tokens and then over micro-batches, so that the packing
    changes the loss; here it does not.
    """
    return PolicyGradientLoss(token_ratio, clipped_tokens(config), mean_of_tokens, config)
