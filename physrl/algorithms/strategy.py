"""The two ways to take an update: policy gradient on rollouts, or SFT on demonstrations."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from physrl.algorithms.batch import Tokenizer, demonstration_batch
from physrl.algorithms.importance import importance_weights, sampling_metrics
from physrl.algorithms.loss import LossInputs, LossMetrics
from physrl.algorithms.micro_batch import MicroBatch
from physrl.config.algorithm import PolicyGradientConfig
from physrl.config.run import RunConfig
from physrl.types import Demonstration, TrainingBatch, TrainingExample

Samples = TrainingBatch | Sequence[Demonstration]
"""Input of a step: rollouts for a policy gradient, demonstrations for SFT."""


class Strategy(Protocol):
    """The parts of an update that depend on the kind of algorithm."""

    temperature: float
    """Divisor of the logits that completions are scored with."""
    needs_old_logprobs: bool
    """True if the loss compares the policy with the one before the step's first update."""
    needs_reference: bool
    """True if the loss has a KL term."""

    def training_batch(self, samples: Samples) -> TrainingBatch:
        """Convert a step's samples to training examples."""
        ...

    def counted_tokens(self, example: TrainingExample) -> int:
        """Count the completion tokens of an example that enter the loss."""
        ...

    def importance(self, old_logprobs: Tensor, micro_batch: MicroBatch) -> Tensor:
        """Compute the weights (B x C or B x 1) that correct for the sampler."""
        ...

    def metrics(self, inputs: LossInputs, micro_batch: MicroBatch) -> LossMetrics:
        """Compute the metrics that the loss itself does not return."""
        ...


class PolicyGradientStrategy:
    """Updates on rollouts, scored at the temperature at which they were sampled."""

    needs_old_logprobs = True

    def __init__(self, config: PolicyGradientConfig, temperature: float) -> None:
        self.temperature = temperature
        self.needs_reference = config.beta > 0
        self._config = config

    def training_batch(self, samples: Samples) -> TrainingBatch:
        if not isinstance(samples, TrainingBatch):
            raise TypeError("a policy gradient needs a TrainingBatch of rollouts")
        return samples

    def counted_tokens(self, example: TrainingExample) -> int:
        masked = self._config.mask_truncated and example.truncated
        return 0 if masked else len(example.completion_ids)

    def importance(self, old_logprobs: Tensor, micro_batch: MicroBatch) -> Tensor:
        sampling = micro_batch.sampling_logprobs
        if sampling is None:
            return micro_batch.mask
        return importance_weights(old_logprobs, sampling, micro_batch.mask, self._config)

    def metrics(self, inputs: LossInputs, micro_batch: MicroBatch) -> LossMetrics:
        sampling = micro_batch.sampling_logprobs
        return {} if sampling is None else sampling_metrics(inputs, sampling, self._config)


class SFTStrategy:
    """Updates on demonstrations, which nothing sampled: temperature 1 and no correction."""

    temperature = 1.0
    needs_old_logprobs = False
    needs_reference = False

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def training_batch(self, samples: Samples) -> TrainingBatch:
        if isinstance(samples, TrainingBatch):
            return samples
        return demonstration_batch(samples, self._tokenizer)

    def counted_tokens(self, example: TrainingExample) -> int:
        return len(example.completion_ids)

    def importance(self, old_logprobs: Tensor, micro_batch: MicroBatch) -> Tensor:
        return micro_batch.mask

    def metrics(self, inputs: LossInputs, micro_batch: MicroBatch) -> LossMetrics:
        return {}


def make_strategy(config: RunConfig, tokenizer: Tokenizer) -> Strategy:
    """Choose the strategy of the run's algorithm."""
    if config.algorithm.uses_rollouts:
        return PolicyGradientStrategy(config.algorithm, config.temperature)
    return SFTStrategy(tokenizer)
