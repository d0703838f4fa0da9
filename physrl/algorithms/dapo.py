"""DAPO: decoupled clip and dynamic sampling (Yu et al. 2025, arXiv 2503.14476)."""

from physrl.algorithms.aggregation import token_mean
from physrl.algorithms.policy_gradient import PolicyGradientLoss
from physrl.algorithms.ratio import token_ratio
from physrl.algorithms.surrogate import clipped_tokens
from physrl.config.algorithm import DAPOConfig


def dapo_loss(config: DAPOConfig) -> PolicyGradientLoss:
    """Clip token ratios, higher above than below, and average over all tokens."""
    return PolicyGradientLoss(token_ratio, clipped_tokens(config), token_mean, config)
