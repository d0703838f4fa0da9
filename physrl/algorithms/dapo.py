"""DAPO: decoupled clip and dynamic sampling (Yu et al. 2025, arXiv 2503.14476)."""

from physrl.algorithms.aggregation import mean_of_tokens
from physrl.algorithms.policy_gradient import PolicyGradientLoss
from physrl.algorithms.ratio import token_ratio
from physrl.algorithms.surrogate import clipped_tokens
from physrl.config.algorithm import DAPOConfig


def dapo_loss(config: DAPOConfig) -> PolicyGradientLoss:
    """Ratios of tokens, clipped higher above than below, averaged over all tokens."""
    return PolicyGradientLoss(token_ratio, clipped_tokens(config), mean_of_tokens, config)
