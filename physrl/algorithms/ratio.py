"""Probability ratios of the current policy to the old one."""

from torch import Tensor

from physrl.algorithms.aggregation import per_sequence_mean
from physrl.algorithms.loss import LossInputs


def token_ratio(inputs: LossInputs) -> Tensor:
    """Compute exp(lp - old) of each token: B x C."""
    return (inputs.logprobs - inputs.old_logprobs).exp()


def sequence_ratio(inputs: LossInputs) -> Tensor:
    """Compute exp of each sequence's mean log-ratio: B x 1 (Zheng et al. 2025, equation 7)."""
    return per_sequence_mean(inputs.logprobs - inputs.old_logprobs, inputs.mask).exp()[:, None]
