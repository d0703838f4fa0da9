"""Estimates of each token's KL divergence from the base model, B x C."""

import torch
from torch import Tensor

from physrl.algorithms.loss import LossInputs


def kl_estimate(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """Compute exp(ref - lp) - (ref - lp) - 1, which is never negative (Schulman's k3)."""
    difference = ref_logprobs - logprobs
    return torch.expm1(difference) - difference


def plain_kl(inputs: LossInputs, ratio: Tensor) -> Tensor:
    """Estimate the KL divergence as Shao et al. 2024, equation 4."""
    assert inputs.ref_logprobs is not None
    return kl_estimate(inputs.logprobs, inputs.ref_logprobs)


def corrected_kl(inputs: LossInputs, ratio: Tensor) -> Tensor:
    """Multiply the estimate by the ratio, so that its gradient is that of the divergence itself.

    DeepSeek-V3.2 (arXiv 2512.02556), equation 7. The ratio carries its gradient: this differs from
    the plain estimate even on policy, where the ratio is 1.
    """
    return plain_kl(inputs, ratio) * ratio
