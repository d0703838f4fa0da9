"""How much likelier the policy that is trained finds a completion than the old policy did."""

from torch import Tensor

from physrl.algorithms.aggregation import sequence_mean
from physrl.algorithms.loss import LossInputs


def token_ratio(inputs: LossInputs) -> Tensor:
    """exp(lp - old) of each token: B x C."""
    return (inputs.logprobs - inputs.old_logprobs).exp()


def sequence_ratio(inputs: LossInputs) -> Tensor:
    """Exp of the mean log-ratio over the sequence: B x 1 (Zheng et al. 2025, equation 7)."""
    return sequence_mean(inputs.logprobs - inputs.old_logprobs, inputs.mask).exp()[:, None]
