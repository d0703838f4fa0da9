"""GSPO: group sequence policy optimization (Zheng et al. 2025, arXiv 2507.18071)."""

from physrl.algorithms.aggregation import mean_of_sequences
from physrl.algorithms.policy_gradient import PolicyGradientLoss
from physrl.algorithms.ratio import sequence_ratio
from physrl.algorithms.surrogate import clipped_sequences
from physrl.config.algorithm import GSPOConfig


def gspo_loss(config: GSPOConfig) -> PolicyGradientLoss:
    """GRPO's objective with one ratio a sequence: exp of its mean log-ratio."""
    return PolicyGradientLoss(sequence_ratio, clipped_sequences(config), mean_of_sequences, config)
