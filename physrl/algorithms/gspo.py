"""GSPO: group sequence policy optimization (Zheng et al. 2025, arXiv 2507.18071)."""

from physrl.algorithms.aggregation import seq_mean_token_mean
from physrl.algorithms.policy_gradient import PolicyGradientLoss
from physrl.algorithms.ratio import sequence_ratio
from physrl.algorithms.surrogate import clipped_sequences
from physrl.config.algorithm import GSPOConfig


def gspo_loss(config: GSPOConfig) -> PolicyGradientLoss:
    """Clip one ratio per sequence, exp of its mean log-ratio, and average over sequences."""
    surrogate = clipped_sequences(config)
    return PolicyGradientLoss(sequence_ratio, surrogate, seq_mean_token_mean, config)
