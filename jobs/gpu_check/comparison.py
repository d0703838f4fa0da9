"""Comparison of log-probabilities between sampler and scorer."""

from collections.abc import Sequence

import numpy as np

from jobs.gpu_check.rows import Failed
from physrl.training_records import TrainingExample
from physrl.types import Generation, Prompt

MOST = {"float32": 2e-3, "bfloat16": 5e-2}
"""Largest mean difference of a token's log-probability, in nats; equal weights differ by 1e-6 and
by some 1e-2."""


def examples_of(
    prompts: Sequence[Prompt], generations: Sequence[Generation]
) -> list[TrainingExample]:
    """Make an example of each completion."""
    return [
        TrainingExample(prompt, completion.token_ids, 0.0, completion.logprobs)
        for prompt, generation in zip(prompts, generations, strict=True)
        for completion in generation.completions
    ]


def difference(
    examples: Sequence[TrainingExample], scores: Sequence[Sequence[float]]
) -> tuple[float, float]:
    """Return the mean and the largest difference to the sampler's log-probabilities."""
    sampled = np.concatenate([np.asarray(each.sampling_logprobs) for each in examples])
    scored = np.concatenate([np.asarray(each) for each in scores])
    gaps = np.abs(sampled - scored)
    return float(gaps.mean()), float(gaps.max())


def agreeing(
    examples: Sequence[TrainingExample], scores: Sequence[Sequence[float]], dtype: str
) -> tuple[float, str]:
    """Return the mean difference and its description.

    Raises:
        Failed: it is larger than that of two copies of the same weights.
    """
    mean, largest = difference(examples, scores)
    text = f"{mean:.1e} nats a token, {largest:.1e} at most"
    if not mean <= MOST[dtype]:
        raise Failed(f"vLLM and the learner differ by {text}; {MOST[dtype]:g} is allowed")
    return mean, text
