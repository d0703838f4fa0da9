"""The comparison of learner and servers before the first update: both must hold the same policy."""

from collections.abc import Sequence

import numpy as np

from physrl.errors import GenerationError
from physrl.training_records import TrainingExample

EXAMPLES = 8
"""Completions that are scored twice; a policy that was misread differs on nearly every token."""
LARGEST = 0.2
"""Largest mean difference of a token's log-probability in nats. Equal weights differ by 1e-6 in
float32 and by some 1e-2 in bfloat16; an adapter that one side drops by whole nats."""


def check_agreement(
    examples: Sequence[TrainingExample], scores: Sequence[Sequence[float]]
) -> float:
    """Compare the learner's scores with those of the server that sampled the completions.

    Returns:
        The mean difference in nats.

    Raises:
        GenerationError: it is too large for two copies of one policy.
    """
    sampled = np.concatenate([np.asarray(each.sampling_logprobs) for each in examples])
    learned = np.concatenate([np.asarray(each) for each in scores])
    difference = float(np.abs(sampled - learned).mean())
    if not difference <= LARGEST:
        raise GenerationError(
            f"before the first update, learner and vLLM score the same completions differently, "
            f"by {difference:.3g} nats per token: one of them misreads model.path or "
            "model.adapter; compare them, and runtime.vllm"
        )
    return difference
