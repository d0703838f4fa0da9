"""Aggregation of per-token values to one number, named as in verl.

Values are B x C, or B x 1 where a sequence has one; each function returns this micro-batch's share
of the update's mean.
"""

from torch import Tensor

from physrl.algorithms.loss import LossInputs


def per_sequence_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Compute each sequence's mean over its tokens: B; 0 for a sequence without any."""
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def seq_mean_token_mean(values: Tensor, inputs: LossInputs) -> Tensor:
    """Average over each sequence's tokens, then over sequences: each sequence counts the same."""
    return per_sequence_mean(values, inputs.mask).sum() / inputs.sequences


def token_mean(values: Tensor, inputs: LossInputs) -> Tensor:
    """Average over all tokens: each token counts the same."""
    return (values * inputs.mask).sum() / inputs.tokens


def seq_mean_token_sum_norm(values: Tensor, inputs: LossInputs) -> Tensor:
    """Divide the sum over all tokens by sequences x maximum length, whatever their lengths are."""
    return (values * inputs.mask).sum() / (inputs.sequences * inputs.max_length)


def seq_mean(values: Tensor, inputs: LossInputs) -> Tensor:
    """Average the one value (B x 1) of each sequence; a masked sequence counts as 0."""
    return (values[:, 0] * inputs.mask.any(dim=1)).sum() / inputs.sequences
