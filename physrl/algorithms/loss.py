"""What every loss takes and gives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True)
class LossInputs:
    """Per-token values of B completions, left-aligned and zero-padded to length C.

    The three counts are of the whole update, over all micro-batches and ranks: they are the
    denominators, so that shares of the loss can be summed in whatever way the update was divided.
    """

    logprobs: Tensor
    """B x C, under the policy that is trained; carries the gradient."""
    old_logprobs: Tensor
    """B x C, under the policy at the start of the update."""
    entropy: Tensor
    """B x C, of the policy that is trained, in nats."""
    mask: Tensor
    """B x C, what a token counts: 1.0 or 0.0, of weighted demonstrations something between."""
    advantages: Tensor
    """B."""
    importance: Tensor
    """B x C or B x 1: what corrects for a sampler that is not quite the old policy."""
    ref_logprobs: Tensor | None
    """B x C, under the base model; only where the loss has a KL term."""
    sequences: int
    """Sequences, also those that the mask leaves out."""
    tokens: float
    """Tokens that count, each by its weight."""
    max_length: int
    """Longest completion that the sampler may give."""


Mean = Callable[[Tensor, LossInputs], Tensor]
"""A micro-batch's share of the update's mean of some values."""
LossMetrics = dict[str, Tensor]
"""Shares of the update's means: summed over micro-batches and ranks they are the means. Of keys
that end in `_min` or `_max` the extreme is taken instead."""


class Loss(Protocol):
    """A micro-batch's share of an update's loss, and of its metrics."""

    def __call__(self, inputs: LossInputs) -> tuple[Tensor, LossMetrics]: ...
