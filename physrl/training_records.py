"""Frozen records that supervised and reinforcement learning train on."""

from dataclasses import dataclass

from physrl.types import Prompt


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A prompt with the target completion of SFT."""

    prompt: Prompt
    target: str
    weight: float = 1.0
    """Weight of its tokens in the loss."""


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A sequence that the learner trains on."""

    prompt: Prompt
    completion_ids: tuple[int, ...]
    advantage: float = 0.0
    sampling_logprobs: tuple[float, ...] = ()
    """Log-probability of each token under the sampling policy; empty for SFT."""
    truncated: bool = False
    """True if the completion reached the largest number of tokens."""
    weight: float = 1.0
    """Weight of its tokens in the SFT loss."""


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """The sequences of a step, in a fixed order."""

    examples: tuple[TrainingExample, ...]
