"""Dr. GRPO: GRPO without its length and difficulty biases (Liu et al. 2025, arXiv 2503.20783)."""

from physrl.algorithms.aggregation import seq_mean_token_sum_norm
from physrl.algorithms.policy_gradient import PolicyGradientLoss
from physrl.algorithms.ratio import token_ratio
from physrl.algorithms.surrogate import clipped_tokens
from physrl.config.algorithm import DrGRPOConfig


def dr_grpo_loss(config: DrGRPOConfig) -> PolicyGradientLoss:
    """Clip token ratios and divide their sum by a constant; advantages are not scaled."""
    return PolicyGradientLoss(token_ratio, clipped_tokens(config), seq_mean_token_sum_norm, config)
