"""GRPO: group relative policy optimization (Shao et al. 2024, arXiv 2402.03300)."""

from physrl.algorithms.aggregation import seq_mean_token_mean
from physrl.algorithms.policy_gradient import PolicyGradientLoss
from physrl.algorithms.ratio import token_ratio
from physrl.algorithms.surrogate import clipped_tokens
from physrl.config.algorithm import GRPOConfig


def grpo_loss(config: GRPOConfig) -> PolicyGradientLoss:
    """Clip token ratios and average over each sequence, then over sequences."""
    return PolicyGradientLoss(token_ratio, clipped_tokens(config), seq_mean_token_mean, config)
