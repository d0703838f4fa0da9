"""What every loss takes and gives."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LossInputs:
    """Per-token values of B completions, left-aligned and zero-padded to length C."""

    logprobs: Tensor
    """B x C, under the policy that is trained; carries the gradient."""
    old_logprobs: Tensor
    """B x C, under the policy at the start of the update."""
    mask: Tensor
    """B x C, 1.0 where a token is."""
    advantages: Tensor
    """B."""
    importance: Tensor
    """B x C, the truncated weight exp(old - sampling)."""
    ref_logprobs: Tensor | None
    """B x C, under the base model; only where the loss has a KL term."""
    sequences: int
    """Sequences in the whole update over all micro-batches and ranks: the denominator."""
    tokens: int
    """Completion tokens in the whole update."""


LossMetrics = dict[str, Tensor]
"""Each value is a share of the update's mean: summed over micro-batches it is the mean."""


class Loss(Protocol):
    """A micro-batch's share of an update's loss, and of its metrics."""

    def __call__(self, inputs: LossInputs) -> tuple[Tensor, LossMetrics]: ...


def sequence_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over each sequence's tokens: B."""
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def kl_estimate(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """exp(ref - lp) - (ref - lp) - 1 of each token: never negative (Schulman's k3)."""
    difference = ref_logprobs - logprobs
    return torch.expm1(difference) - difference
