"""Inputs and outputs of the losses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True)
class LossInputs:
    """Per-token values of B completions, left-aligned and zero-padded to length C.

    The three counts are denominators: they count the whole update, over all micro-batches and
    ranks, so that shares of the loss add up however the update was divided.
    """

    logprobs: Tensor
    """B x C, under the current policy; carries the gradient."""
    old_logprobs: Tensor
    """B x C, under the policy at the start of the step."""
    entropy: Tensor
    """B x C, of the current policy, in nats."""
    mask: Tensor
    """B x C, weight of each token: 1 or 0, or the weight of its demonstration."""
    advantages: Tensor
    """B."""
    importance: Tensor
    """B x C or B x 1, importance-sampling weights that correct for the sampler."""
    ref_logprobs: Tensor | None
    """B x C, under the base model; None without a KL term."""
    sequences: int
    """Number of sequences, masked ones included."""
    tokens: float
    """Sum of the mask: the weighted number of tokens."""
    max_length: int
    """Maximum completion length in tokens."""


Mean = Callable[[Tensor, LossInputs], Tensor]
"""A function that computes a micro-batch's share of the update's mean of some values."""
LossMetrics = dict[str, Tensor]
"""Shares of the update's means, which are their sums over micro-batches and ranks; minima and
maxima under keys that end in `min` or `max`."""


class Loss(Protocol):
    """A function that computes a micro-batch's share of an update's loss and metrics."""

    def __call__(self, inputs: LossInputs) -> tuple[Tensor, LossMetrics]: ...
