"""The kinds of update: a policy gradient on rollouts, SFT on demonstrations or on successes.

All classes have the same attributes and methods, documented in the first.
"""

from collections.abc import Sequence

from torch import Tensor

from physrl.algorithms.batch import Tokenizer, demonstration_batch
from physrl.algorithms.importance import importance_weights, sampling_metrics
from physrl.algorithms.loss import LossInputs, LossMetrics
from physrl.algorithms.micro_batch import MicroBatch
from physrl.config.algorithm import PolicyGradientConfig
from physrl.config.run import RunConfig
from physrl.training_records import Demonstration, TrainingBatch, TrainingExample

Samples = TrainingBatch | Sequence[Demonstration]
"""Input of a step: rollouts for a policy gradient, demonstrations for SFT."""


class PolicyGradientStrategy:
    """Updates on rollouts, scored at the temperature at which they were sampled.

    Attributes:
        temperature: divisor of the logits that completions are scored with.
        needs_old_logprobs: True if the loss compares the policy with that of the step's start.
    """

    needs_old_logprobs = True

    def __init__(self, config: PolicyGradientConfig, temperature: float) -> None:
        self.temperature = temperature
        self._config = config

    def training_batch(self, samples: Samples) -> TrainingBatch:
        """Convert a step's samples to training examples."""
        if not isinstance(samples, TrainingBatch):
            raise TypeError("a policy gradient needs a TrainingBatch of rollouts")
        return samples

    def counted_tokens(self, example: TrainingExample) -> int:
        """Count the completion tokens of an example that enter the loss."""
        masked = self._config.mask_truncated and example.truncated
        return 0 if masked else len(example.completion_ids)

    def importance(self, old_logprobs: Tensor, micro_batch: MicroBatch) -> Tensor:
        """Compute the weights (B x C or B x 1) that correct for the sampler."""
        sampling = micro_batch.sampling_logprobs
        if sampling is None:
            return micro_batch.mask
        return importance_weights(old_logprobs, sampling, micro_batch.mask, self._config)

    def metrics(self, inputs: LossInputs, micro_batch: MicroBatch) -> LossMetrics:
        """Compute the metrics that the loss itself does not return."""
        sampling = micro_batch.sampling_logprobs
        return {} if sampling is None else sampling_metrics(inputs, sampling, self._config)


class SFTStrategy:
    """Updates on demonstrations, which have no sampler, old policy or reference."""

    temperature = 1.0
    needs_old_logprobs = False

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


class RejectionStrategy(SFTStrategy):
    """Updates on the rollouts that succeeded, as if they were demonstrations.

    Rollouts that failed have no credit and are left out; they fill up updates without a success,
    which change nothing but by weight decay and momentum.
    """

    def __init__(self, tokenizer: Tokenizer, updates: int) -> None:
        super().__init__(tokenizer)
        self._updates = updates

    def training_batch(self, samples: Samples) -> TrainingBatch:
        examples = super().training_batch(samples).examples
        accepted = tuple(example for example in examples if example.advantage)
        rejected = tuple(example for example in examples if not example.advantage)
        return TrainingBatch(accepted + rejected[: max(0, self._updates - len(accepted))])

    def counted_tokens(self, example: TrainingExample) -> int:
        return len(example.completion_ids) if example.advantage else 0


Strategy = PolicyGradientStrategy | SFTStrategy


def make_strategy(config: RunConfig, tokenizer: Tokenizer) -> Strategy:
    """Choose the strategy of the run's algorithm."""
    algorithm = config.algorithm
    if isinstance(algorithm, PolicyGradientConfig):
        return PolicyGradientStrategy(algorithm, config.temperature)
    if algorithm.uses_rollouts:
        return RejectionStrategy(tokenizer, algorithm.updates_per_rollout)
    return SFTStrategy(tokenizer)
