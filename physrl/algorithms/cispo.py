"""CISPO: clipped importance weights (MiniMax-M1 2025, arXiv 2506.13585)."""

from physrl.algorithms.aggregation import token_mean
from physrl.algorithms.policy_gradient import PolicyGradientLoss
from physrl.algorithms.ratio import token_ratio
from physrl.algorithms.surrogate import WeightedLikelihood
from physrl.config.algorithm import CISPOConfig


def cispo_loss(config: CISPOConfig) -> PolicyGradientLoss:
    """Weight REINFORCE by ratios bounded from above and average over all tokens."""
    surrogate = WeightedLikelihood(config.ratio_max)
    return PolicyGradientLoss(token_ratio, surrogate, token_mean, config)
