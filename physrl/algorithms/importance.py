"""Importance-sampling correction of the mismatch between sampler and learner.

The weight exp(old - sampling) makes the sampler's completions count as the old policy's. Beyond
its bounds it is truncated to them or set to 0: truncated or masked importance sampling.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from physrl.algorithms.aggregation import seq_mean, token_mean
from physrl.algorithms.loss import LossInputs, LossMetrics, Mean
from physrl.config.algorithm import PolicyGradientConfig


@dataclass(frozen=True)
class Bounds:
    """The lower and upper bound of a weight."""

    low: float
    high: float


def token_weights(difference: Tensor) -> Tensor:
    """Compute exp(difference) of each token: B x C; `difference` is 0 outside the mask."""
    return difference.exp()


def sequence_weights(difference: Tensor) -> Tensor:
    """Compute the product over each sequence's tokens: B x 1."""
    return difference.sum(dim=1, keepdim=True).exp()


def truncated(weights: Tensor, bounds: Bounds) -> Tensor:
    """Truncate weights to the bounds (Yao et al. 2025)."""
    return weights.clamp(bounds.low, bounds.high)


def masked(weights: Tensor, bounds: Bounds) -> Tensor:
    """Set weights beyond the bounds to 0, which excludes their tokens or sequences."""
    return weights.where((weights >= bounds.low) & (weights <= bounds.high), 0.0)


def counted_tokens(mask: Tensor) -> Tensor:
    """Mark the tokens that count: B x C, bool."""
    return mask > 0


def counted_sequences(mask: Tensor) -> Tensor:
    """Mark the sequences with a token that counts: B x 1, bool."""
    return mask.any(dim=1, keepdim=True)


@dataclass(frozen=True)
class Level:
    """The level at which weights are computed: tokens (B x C) or sequences (B x 1)."""

    weigh: Callable[[Tensor], Tensor]
    mean: Mean
    counted: Callable[[Tensor], Tensor]


TOKENS = Level(token_weights, token_mean, counted_tokens)
SEQUENCES = Level(sequence_weights, seq_mean, counted_sequences)
LEVELS = {
    "none": TOKENS,
    "token_truncate": TOKENS,
    "token_mask": TOKENS,
    "sequence_truncate": SEQUENCES,
    "sequence_mask": SEQUENCES,
}
BOUNDED = {
    "token_truncate": truncated,
    "token_mask": masked,
    "sequence_truncate": truncated,
    "sequence_mask": masked,
}


def importance_weights(
    old: Tensor, sampling: Tensor, mask: Tensor, config: PolicyGradientConfig
) -> Tensor:
    """Compute the weights of a micro-batch's tokens (B x C) or sequences (B x 1).

    Args:
        old: B x C, the learner's log-probabilities at the start of the step.
        sampling: B x C, the sampler's log-probabilities of the same tokens.
    """
    if config.importance_sampling_mode == "none":
        return torch.ones_like(mask)
    weigh = LEVELS[config.importance_sampling_mode].weigh
    bound = BOUNDED[config.importance_sampling_mode]
    low, high = config.importance_sampling_min, config.importance_sampling_max
    bounds = Bounds(0.0 if low is None else low, math.inf if high is None else high)
    return bound(weigh((old - sampling) * mask), bounds)


def sampling_metrics(
    inputs: LossInputs, sampling: Tensor, config: PolicyGradientConfig
) -> LossMetrics:
    """Compute the log-probability differences and the weights, under TRL's names."""
    difference = ((inputs.old_logprobs - sampling) * inputs.mask).abs()
    level = LEVELS[config.importance_sampling_mode]
    weights = inputs.importance
    counted = weights[level.counted(inputs.mask)]
    metrics = {
        "sampling/sampling_logp_difference/mean": token_mean(difference, inputs),
        "sampling/sampling_logp_difference/max": difference.max(),
        "sampling/importance_sampling_ratio/mean": level.mean(weights, inputs),
    }
    if counted.numel():
        metrics |= {
            "sampling/importance_sampling_ratio/min": counted.min(),
            "sampling/importance_sampling_ratio/max": counted.max(),
        }
    return metrics
