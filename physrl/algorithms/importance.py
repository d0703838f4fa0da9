"""Correction for a sampler whose probabilities are not quite the learner's.

The weight exp(old - sampling) makes the sampler's completions count as the old policy's. It is
kept within bounds, or set to 0 beyond them: truncated or masked importance sampling.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from physrl.algorithms.aggregation import mean_of_rows, mean_of_tokens
from physrl.algorithms.loss import LossInputs, LossMetrics, Mean
from physrl.config.algorithm import PolicyGradientConfig


@dataclass(frozen=True)
class Bounds:
    """The smallest and the largest weight that counts."""

    low: float
    high: float


def token_weights(difference: Tensor) -> Tensor:
    """exp(old - sampling) of each token; `difference` is B x C and 0 outside the mask."""
    return difference.exp()


def sequence_weights(difference: Tensor) -> Tensor:
    """The product over each sequence's tokens: B x 1."""
    return difference.sum(dim=1, keepdim=True).exp()


def truncated(weights: Tensor, bounds: Bounds) -> Tensor:
    """Weights beyond a bound count as the bound (Yao et al. 2025)."""
    return weights.clamp(bounds.low, bounds.high)


def masked(weights: Tensor, bounds: Bounds) -> Tensor:
    """Weights beyond a bound count as 0: their tokens or sequences are left out."""
    return weights.where((weights >= bounds.low) & (weights <= bounds.high), 0.0)


def counted_tokens(mask: Tensor) -> Tensor:
    """B x C, bool."""
    return mask > 0


def counted_sequences(mask: Tensor) -> Tensor:
    """B x 1, bool: those with a token that counts."""
    return mask.any(dim=1, keepdim=True)


@dataclass(frozen=True)
class Level:
    """What has a weight: tokens (B x C) or sequences (B x 1)."""

    weigh: Callable[[Tensor], Tensor]
    mean: Mean
    counted: Callable[[Tensor], Tensor]


TOKENS = Level(token_weights, mean_of_tokens, counted_tokens)
SEQUENCES = Level(sequence_weights, mean_of_rows, counted_sequences)
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
    """The weights of a micro-batch's tokens (B x C) or sequences (B x 1).

    Args:
        old: B x C, the learner's log-probabilities at the start of the update.
        sampling: B x C, the sampler's, of the same tokens.
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
    """How far apart the two are, and what weights that gave; under TRL's names."""
    difference = ((inputs.old_logprobs - sampling) * inputs.mask).abs()
    level = LEVELS[config.importance_sampling_mode]
    weights = inputs.importance
    counted = weights[level.counted(inputs.mask)]
    metrics = {
        "sampling/sampling_logp_difference/mean": mean_of_tokens(difference, inputs),
        "sampling/sampling_logp_difference/max": difference.max(),
        "sampling/importance_sampling_ratio/mean": level.mean(weights, inputs),
    }
    if counted.numel():
        metrics |= {
            "sampling/importance_sampling_ratio/min": counted.min(),
            "sampling/importance_sampling_ratio/max": counted.max(),
        }
    return metrics
