"""What takes the place of the expected reward: per-token losses from ratios and advantages.

A ratio is B x C (of tokens) or B x 1 (of sequences).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from physrl.algorithms.aggregation import mean_of_own_level, sequence_mean
from physrl.algorithms.loss import LossInputs, LossMetrics
from physrl.config.algorithm import ClippedConfig


@dataclass(frozen=True)
class ClippedSurrogate:
    """-min(c A, clip(c, 1 - low, 1 + high) A): no gain from moving a ratio c beyond its bounds.

    Where A is negative, c itself counts up to `delta` only: a completion that the policy has come
    to like by far cannot dominate the update (dual clip, INTELLECT-2, arXiv 2505.07291).
    """

    low: float
    high: float
    delta: float = math.inf

    def __call__(self, ratio: Tensor, inputs: LossInputs) -> tuple[Tensor, LossMetrics]:
        advantages = inputs.advantages[:, None]
        clipped = ratio.clamp(1 - self.low, 1 + self.high)
        bounded = ratio.clamp(max=self.delta)
        loss = -torch.minimum(bounded * advantages, clipped * advantages)
        low = ((ratio < 1 - self.low) & (advantages < 0)).to(loss)
        high = ((ratio > 1 + self.high) & (advantages > 0)).to(loss)
        there = inputs.mask.any(dim=1)
        return loss, {
            "clip_ratio/low_mean": mean_of_own_level(low, inputs),
            "clip_ratio/high_mean": mean_of_own_level(high, inputs),
            "clip_ratio/region_mean": mean_of_own_level(low + high, inputs),
            "clip_ratio/low_min": sequence_mean(low, inputs.mask).where(there, 1.0).min(),
            "clip_ratio/high_max": sequence_mean(high, inputs.mask).where(there, 0.0).max(),
        }


def clipped_surrogate(config: ClippedConfig) -> ClippedSurrogate:
    """With the configured bounds."""
    delta = math.inf if config.delta is None else config.delta
    return ClippedSurrogate(config.clip_low, config.clip_high, delta)


@dataclass(frozen=True)
class WeightedLikelihood:
    """-min(c, largest) A logp, the weight without gradient: every token keeps a gradient."""

    largest: float

    def __call__(self, ratio: Tensor, inputs: LossInputs) -> tuple[Tensor, LossMetrics]:
        advantages = inputs.advantages[:, None]
        weight = ratio.clamp(max=self.largest).detach()
        clipped = ((ratio > self.largest) & (advantages > 0)).to(weight)
        return -weight * advantages * inputs.logprobs, {
            "cispo_clip_ratio": mean_of_own_level(clipped, inputs)
        }
