"""From per-token values to one number: what the mean is taken over.

Values are B x C, or B x 1 where a sequence has one; each function gives this micro-batch's share of
the update's mean.
"""

from torch import Tensor

from physrl.algorithms.loss import LossInputs


def sequence_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over each sequence's tokens: B; 0 for a sequence without any."""
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def mean_of_sequences(values: Tensor, inputs: LossInputs) -> Tensor:
    """Each sequence's mean, then the mean over all sequences: short answers weigh as long ones."""
    return sequence_mean(values, inputs.mask).sum() / inputs.sequences


def mean_of_tokens(values: Tensor, inputs: LossInputs) -> Tensor:
    """Mean over all tokens that count: every token weighs the same."""
    return (values * inputs.mask).sum() / inputs.tokens


def mean_of_places(values: Tensor, inputs: LossInputs) -> Tensor:
    """Sum over sequences x longest length: the same scale whatever was answered."""
    return (values * inputs.mask).sum() / (inputs.sequences * inputs.max_length)


def mean_of_rows(values: Tensor, inputs: LossInputs) -> Tensor:
    """Mean over sequences of the one value (B x 1) that each has; 0 for one that is left out."""
    return (values[:, 0] * inputs.mask.any(dim=1)).sum() / inputs.sequences
