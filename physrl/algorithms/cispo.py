"""CISPO: clipped importance weights (MiniMax-M1 2025, arXiv 2506.13585)."""

from physrl.algorithms.aggregation import mean_of_tokens
from physrl.algorithms.policy_gradient import PolicyGradientLoss
from physrl.algorithms.ratio import token_ratio
from physrl.algorithms.surrogate import WeightedLikelihood
from physrl.config.algorithm import CISPOConfig


def cispo_loss(config: CISPOConfig) -> PolicyGradientLoss:
    """REINFORCE whose weights are bounded from above, averaged over all tokens."""
    surrogate = WeightedLikelihood(config.ratio_max)
    return PolicyGradientLoss(token_ratio, surrogate, mean_of_tokens, config)
