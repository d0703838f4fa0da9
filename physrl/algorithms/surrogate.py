"""Surrogate objectives: per-token losses from ratios and advantages.

Ratios are B x C (tokens) or B x 1 (sequences).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from physrl.algorithms.aggregation import per_sequence_mean, seq_mean, token_mean
from physrl.algorithms.loss import LossInputs, LossMetrics, Mean
from physrl.config.algorithm import ClippedConfig


@dataclass(frozen=True)
class ClippedSurrogate:
    """The loss -min(c A, clip(c, 1 - low, 1 + high) A), which rewards no ratio c beyond the clip.

    Where A is negative, c itself is bounded by `delta`, so that a completion that has become far
    more likely cannot dominate the update (dual clip, INTELLECT-2, arXiv 2505.07291).
    """

    low: float
    high: float
    delta: float
    mean: Mean
    """Mean, over tokens or sequences, of the clip metrics."""

    def __call__(self, ratio: Tensor, inputs: LossInputs) -> tuple[Tensor, LossMetrics]:
        advantages = inputs.advantages[:, None]
        clipped = ratio.clamp(1 - self.low, 1 + self.high)
        bounded = ratio.clamp(max=self.delta)
        loss = -torch.minimum(bounded * advantages, clipped * advantages)
        low = ((ratio < 1 - self.low) & (advantages < 0)).to(loss)
        high = ((ratio > 1 + self.high) & (advantages > 0)).to(loss)
        unmasked = inputs.mask.any(dim=1)
        return loss, {
            "clip_ratio/low_mean": self.mean(low, inputs),
            "clip_ratio/high_mean": self.mean(high, inputs),
            "clip_ratio/region_mean": self.mean(low + high, inputs),
            "clip_ratio/low_min": per_sequence_mean(low, inputs.mask).where(unmasked, 1.0).min(),
            "clip_ratio/high_max": per_sequence_mean(high, inputs.mask).where(unmasked, 0.0).max(),
        }


def clipped_tokens(config: ClippedConfig) -> ClippedSurrogate:
    """Make the surrogate for token ratios, with the configured bounds."""
    return _clipped(config, token_mean)


def clipped_sequences(config: ClippedConfig) -> ClippedSurrogate:
    """Make the surrogate for sequence ratios, with the configured bounds."""
    return _clipped(config, seq_mean)


def _clipped(config: ClippedConfig, mean: Mean) -> ClippedSurrogate:
    delta = math.inf if config.delta is None else config.delta
    return ClippedSurrogate(config.clip_low, config.clip_high, delta, mean)


@dataclass(frozen=True)
class WeightedLikelihood:
    """The loss -min(c, largest).detach() A logp, in which every token keeps a gradient (CISPO)."""

    largest: float

    def __call__(self, ratio: Tensor, inputs: LossInputs) -> tuple[Tensor, LossMetrics]:
        advantages = inputs.advantages[:, None]
        weight = ratio.clamp(max=self.largest).detach()
        clipped = ((ratio > self.largest) & (advantages > 0)).to(weight)
        return -weight * advantages * inputs.logprobs, {
            "cispo_clip_ratio": token_mean(clipped, inputs)
        }
