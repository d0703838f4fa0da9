"""Learner and servers are compared on the same completions before the first update."""

from dataclasses import replace

import numpy as np
import pytest

from cluster.training.agreement import LARGEST, check_agreement
from physrl.errors import GenerationError
from physrl.training_records import TrainingExample
from physrl.types import Prompt

IMAGE = np.zeros((28, 28, 3), np.uint8)


def sampled(seed: int, count: int) -> list[TrainingExample]:
    draw = np.random.default_rng(seed)
    return [
        TrainingExample(
            Prompt.ask(str(index), "How many?", IMAGE),
            tuple(range(length)),
            sampling_logprobs=tuple(-draw.exponential(1.0, length)),
        )
        for index, length in enumerate(draw.integers(1, 9, count))
    ]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("noise", [0.0, 1e-6, 2e-2, 1.0, 20.0, float("nan"), float("inf")])
def test_hunted_misread_policy_is_told_from_rounding(seed: int, noise: float) -> None:
    draw, examples = np.random.default_rng(seed + 100), sampled(seed, 8)
    scores = [
        [value + noise * sign for value, sign in zip(
            each.sampling_logprobs, draw.choice([-1, 1], len(each.sampling_logprobs)), strict=True
        )]
        for each in examples
    ]  # fmt: skip
    if noise <= LARGEST:
        assert check_agreement(examples, scores) == pytest.approx(noise)
        return
    with pytest.raises(GenerationError, match=r"model\.adapter"):
        check_agreement(examples, scores)


def test_hunted_one_odd_token_among_many_is_rounding() -> None:
    (example,) = sampled(1, 1)
    example = replace(example, completion_ids=(1,) * 50, sampling_logprobs=(-1.0,) * 50)
    assert check_agreement([example], [[-4.0] + [-1.0] * 49]) == pytest.approx(3 / 50)
