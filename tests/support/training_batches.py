"""Rollouts with made-up completions about made-up images."""

import numpy as np

from physrl.training_records import TrainingBatch, TrainingExample
from physrl.types import Prompt


def make_batch() -> TrainingBatch:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 84, 84, 3), dtype=np.uint8)
    prompts = [Prompt.ask(str(place), "How many?", images[place]) for place in range(2)]
    return TrainingBatch(
        tuple(
            TrainingExample(
                prompts[row // 4],
                tuple(rng.integers(20, 90, size=2 + row).tolist()),
                advantage=float(rng.normal()),
                sampling_logprobs=(-4.0,) * (2 + row),
            )
            for row in range(8)
        )
    )
