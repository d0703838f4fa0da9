"""Importance-sampling weights against hand-computed ones."""

import math

import pytest
import torch

from physrl.algorithms.importance import importance_weights, sampling_metrics
from physrl.algorithms.loss import LossInputs
from physrl.config.algorithm import GRPOConfig

# Weights 2 and 4 of the first sequence's two tokens, 0.5 of the second's only one.
OLD = torch.log(torch.tensor([[2.0, 4.0], [0.5, 77.0]]))
SAMPLING = torch.zeros(2, 2)
MASK = torch.tensor([[1.0, 1.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("token_truncate", [[2.0, 3.0], [0.7, 1.0]]),
        ("token_mask", [[2.0, 0.0], [0.0, 1.0]]),
        ("sequence_truncate", [[3.0], [0.7]]),
        ("sequence_mask", [[0.0], [0.0]]),
        ("none", [[1.0, 1.0], [1.0, 1.0]]),
    ],
)
def test_weights_beyond_the_bounds(mode: str, expected: list[list[float]]) -> None:
    config = GRPOConfig(
        importance_sampling_mode=mode, importance_sampling_max=3.0, importance_sampling_min=0.7
    )
    weights = importance_weights(OLD, SAMPLING, MASK, config)
    torch.testing.assert_close(weights, torch.tensor(expected))


def test_without_bounds_a_sequence_counts_the_product_of_its_tokens() -> None:
    config = GRPOConfig(importance_sampling_mode="sequence_mask", importance_sampling_max=None)
    weights = importance_weights(OLD, SAMPLING, MASK, config)
    assert weights.flatten().tolist() == pytest.approx([8.0, 0.5])
    assert math.isfinite(weights.sum())


@pytest.mark.parametrize(
    ("mode", "mean"),
    [("token_truncate", 2.0), ("sequence_truncate", 1.0)],  # of one token, and of two sequences
)
@pytest.mark.parametrize("width", [1, 2])
def test_masked_tokens_do_not_count_in_the_mean(mode: str, mean: float, width: int) -> None:
    config = GRPOConfig(importance_sampling_mode=mode)
    mask = torch.tensor([[1.0, 0.0], [0.0, 0.0]])[:, :width]
    old, sampling = OLD[:, :width], SAMPLING[:, :width]
    inputs = LossInputs(
        logprobs=old,
        old_logprobs=old,
        entropy=old,
        mask=mask,
        advantages=mask[:, 0],
        importance=importance_weights(old, sampling, mask, config),
        ref_logprobs=None,
        sequences=2,
        tokens=1,
        max_length=2,
    )
    metrics = sampling_metrics(inputs, sampling, config)
    ratio = {key: metrics[f"sampling/importance_sampling_ratio/{key}"] for key in ("min", "max")}
    assert ratio == {"min": pytest.approx(2.0), "max": pytest.approx(2.0)}
    assert metrics["sampling/importance_sampling_ratio/mean"] == pytest.approx(mean)
