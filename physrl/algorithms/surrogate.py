"""What takes the place of the expected reward: per-token losses from ratios and advantages.

A ratio is B x C (of tokens) or B x 1 (of sequences).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from physrl.algorithms.aggregation import mean_of_rows, mean_of_tokens, sequence_mean
from physrl.algorithms.loss import LossInputs, LossMetrics, Mean
from physrl.config.algorithm import ClippedConfig


@dataclass(frozen=True)
class ClippedSurrogate:
    """-min(c A, clip(c, 1 - low, 1 + high) A): no gain from moving a ratio c beyond its bounds.

    Where A is negative, c itself counts up to `delta` only: a completion that the policy has come
    to like by far cannot dominate the update (dual clip, INTELLECT-2, arXiv 2505.07291).
    """

    low: float
    high: float
    delta: float
    mean: Mean
    """Over what has a ratio: of how much was clipped."""

    def __call__(self, ratio: Tensor, inputs: LossInputs) -> tuple[Tensor, LossMetrics]:
        advantages = inputs.advantages[:, None]
        clipped = ratio.clamp(1 - self.low, 1 + self.high)
        bounded = ratio.clamp(max=self.delta)
        loss = -torch.minimum(bounded * advantages, clipped * advantages)
        low = ((ratio < 1 - self.low) & (advantages < 0)).to(loss)
        high = ((ratio > 1 + self.high) & (advantages > 0)).to(loss)
        there = inputs.mask.any(dim=1)
        return loss, {
            "clip_ratio/low_mean": self.mean(low, inputs),
            "clip_ratio/high_mean": self.mean(high, inputs),
            "clip_ratio/region_mean": self.mean(low + high, inputs),
            "clip_ratio/low_min": sequence_mean(low, inputs.mask).where(there, 1.0).min(),
            "clip_ratio/high_max": sequence_mean(high, inputs.mask).where(there, 0.0).max(),
        }


def clipped_tokens(config: ClippedConfig) -> ClippedSurrogate:
    """With the configured bounds, for ratios of tokens."""
    return _clipped(config, mean_of_tokens)


def clipped_sequences(config: ClippedConfig) -> ClippedSurrogate:
    """With the configured bounds, for ratios of sequences."""
    return _clipped(config, mean_of_rows)


def _clipped(config: ClippedConfig, mean: Mean) -> ClippedSurrogate:
    delta = math.inf if config.delta is None else config.delta
    return ClippedSurrogate(config.clip_low, config.clip_high, delta, mean)


@dataclass(frozen=True)
class WeightedLikelihood:
    """-min(c, largest) A logp of tokens, the weight without gradient: each keeps a gradient."""

    largest: float

    def __call__(self, ratio: Tensor, inputs: LossInputs) -> tuple[Tensor, LossMetrics]:
        advantages = inputs.advantages[:, None]
        weight = ratio.clamp(max=self.largest).detach()
        clipped = ((ratio > self.largest) & (advantages > 0)).to(weight)
        return -weight * advantages * inputs.logprobs, {
            "cispo_clip_ratio": mean_of_tokens(clipped, inputs)
        }
