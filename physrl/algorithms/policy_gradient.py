"""The policy-gradient loss, of which an algorithm chooses the ratio, the surrogate and the mean."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from physrl.algorithms.aggregation import token_mean
from physrl.algorithms.kl import corrected_kl, plain_kl
from physrl.algorithms.loss import LossInputs, LossMetrics, Mean
from physrl.config.algorithm import PolicyGradientConfig

Ratio = Callable[[LossInputs], Tensor]
Surrogate = Callable[[Tensor, LossInputs], tuple[Tensor, LossMetrics]]


@dataclass(frozen=True)
class PolicyGradientLoss:
    """The loss mean(importance x surrogate(ratio, A) + beta KL) - entropy_coef x token entropy."""

    ratio: Ratio
    surrogate: Surrogate
    mean: Mean
    config: PolicyGradientConfig

    def __call__(self, inputs: LossInputs) -> tuple[Tensor, LossMetrics]:
        ratio = self.ratio(inputs)
        surrogate, metrics = self.surrogate(ratio, inputs)
        per_token = surrogate * inputs.importance
        if inputs.ref_logprobs is not None:
            kl = KL_TERMS[self.config.use_bias_correction_kl](inputs, ratio)
            per_token = per_token + self.config.beta * kl
            metrics["kl"] = token_mean(kl, inputs)
        entropy = token_mean(inputs.entropy, inputs)
        metrics["entropy"] = entropy
        loss = self.mean(per_token, inputs) - self.config.entropy_coef * entropy
        return loss, metrics


KL_TERMS = {True: corrected_kl, False: plain_kl}
