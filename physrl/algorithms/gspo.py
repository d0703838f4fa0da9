"""GSPO: group sequence policy optimization (Zheng et al. 2025, arXiv 2507.18071)."""

from dataclasses import dataclass

from torch import Tensor

from physrl.algorithms.grpo import clipped_surrogate
from physrl.algorithms.loss import LossInputs, LossMetrics, sequence_mean


@dataclass(frozen=True)
class GSPOLoss:
    """GRPO's objective with one ratio a sequence: exp of its mean log-ratio."""

    clip_low: float
    clip_high: float
    beta: float

    def __call__(self, inputs: LossInputs) -> tuple[Tensor, LossMetrics]:
        log_ratio = sequence_mean(inputs.logprobs - inputs.old_logprobs, inputs.mask)
        ratio = log_ratio.exp()[:, None]
        return clipped_surrogate(inputs, ratio, self.clip_low, self.clip_high, self.beta)
