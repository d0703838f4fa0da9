"""Loss of `reinforce`."""

from torch import Tensor

from physrl.algorithms.loss import Loss, LossInputs
from physrl_keystone.algorithm import ReinforceConfig


def reinforce_loss(config: ReinforceConfig) -> Loss:
    """Return -A log p, averaged over all tokens of the update."""

    def loss(inputs: LossInputs) -> tuple[Tensor, dict[str, Tensor]]:
        per_token = -inputs.advantages[:, None] * inputs.logprobs * inputs.importance
        entropy = (inputs.entropy * inputs.mask).sum() / inputs.tokens
        total = (per_token * inputs.mask).sum() / inputs.tokens
        return total - config.entropy_coef * entropy, {"entropy": entropy}

    return loss
