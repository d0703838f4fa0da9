"""Dr. GRPO: GRPO without its length and difficulty biases (Liu et al. 2025, arXiv 2503.20783)."""

from physrl.algorithms.aggregation import mean_of_places
from physrl.algorithms.policy_gradient import PolicyGradientLoss
from physrl.algorithms.ratio import token_ratio
from physrl.algorithms.surrogate import clipped_tokens
from physrl.config.algorithm import DrGRPOConfig


def dr_grpo_loss(config: DrGRPOConfig) -> PolicyGradientLoss:
    """Clipped ratios of tokens, summed and divided by a constant; advantages are not scaled."""
    return PolicyGradientLoss(token_ratio, clipped_tokens(config), mean_of_places, config)
