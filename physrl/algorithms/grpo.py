"""GRPO: group relative policy optimization (Shao et al. 2024, arXiv 2402.03300)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from physrl.algorithms.loss import LossInputs, LossMetrics, kl_estimate, sequence_mean


@dataclass(frozen=True)
class GRPOLoss:
    """-min(c A, clip(c, 1 - low, 1 + high) A) + beta KL, with c the token's probability ratio.

    Mean over each sequence's tokens, then over the update's sequences.
    """

    clip_low: float
    clip_high: float
    beta: float

    def __call__(self, inputs: LossInputs) -> tuple[Tensor, LossMetrics]:
        log_ratio = inputs.logprobs - inputs.old_logprobs
        return clipped_surrogate(inputs, log_ratio.exp(), self.clip_low, self.clip_high, self.beta)


def clipped_surrogate(
    inputs: LossInputs, ratio: Tensor, clip_low: float, clip_high: float, beta: float
) -> tuple[Tensor, LossMetrics]:
    """The clipped objective for a ratio of B x C (token level) or B x 1 (sequence level)."""
    advantages = inputs.advantages[:, None]
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    per_token = -torch.minimum(ratio * advantages, clipped * advantages)
    per_token = per_token.expand_as(inputs.mask) * inputs.importance
    low = ((ratio < 1 - clip_low) & (advantages < 0)).to(per_token).expand_as(inputs.mask)
    high = ((ratio > 1 + clip_high) & (advantages > 0)).to(per_token).expand_as(inputs.mask)
    metrics = {
        "clip_ratio/low_mean": (low * inputs.mask).sum() / inputs.tokens,
        "clip_ratio/high_mean": (high * inputs.mask).sum() / inputs.tokens,
    }
    if inputs.ref_logprobs is not None:
        kl = kl_estimate(inputs.logprobs, inputs.ref_logprobs)
        per_token = per_token + beta * kl
        metrics["kl"] = (kl.detach() * inputs.mask).sum() / inputs.tokens
    loss = sequence_mean(per_token, inputs.mask).sum() / inputs.sequences
    return loss, metrics
