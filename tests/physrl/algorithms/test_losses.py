"""Losses and their gradients against numbers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from physrl.algorithms.grpo import GRPOLoss
from physrl.algorithms.gspo import GSPOLoss
from physrl.algorithms.loss import LossInputs, kl_estimate
from physrl.algorithms.sft import SFTLoss


def inputs(
    logprobs: Tensor,
    old: Tensor,
    advantages: list[float],
    mask: Tensor | None = None,
    importance: Tensor | None = None,
    ref: Tensor | None = None,
) -> LossInputs:
    mask = torch.ones_like(old) if mask is None else mask
    return LossInputs(
        logprobs=logprobs,
        old_logprobs=old,
        mask=mask,
        advantages=torch.tensor(advantages),
        importance=torch.ones_like(old) if importance is None else importance,
        ref_logprobs=ref,
        sequences=len(old),
        tokens=int(mask.sum()),
    )


def test_grpo_on_policy_loss_is_minus_the_mean_advantage() -> None:
    logprobs = torch.tensor([[-1.0, -2.0], [-0.5, -0.1]], requires_grad=True)
    loss, metrics = GRPOLoss(0.2, 0.2, 0.0)(inputs(logprobs, logprobs.detach(), [1.0, -3.0]))
    assert loss.item() == pytest.approx(1.0)  # -(1 - 3) / 2
    assert metrics["clip_ratio/high_mean"] == 0
    loss.backward()
    # d/dlp of -A exp(lp - old) is -A at ratio 1, over 2 tokens and 2 sequences.
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == [[-0.25, -0.25], [0.75, 0.75]]


def test_grpo_clips_both_ways() -> None:
    old = torch.zeros(2, 1)
    logprobs = torch.tensor([[math.log(1.5)], [math.log(0.5)]], requires_grad=True)
    loss, metrics = GRPOLoss(0.2, 0.3, 0.0)(inputs(logprobs, old, [1.0, -1.0]))
    # min(1.5, 1.3) = 1.3 for A = 1; min(-0.5, -0.8) = -0.8 for A = -1: -(1.3 - 0.8) / 2.
    assert loss.item() == pytest.approx(-0.25)
    assert metrics["clip_ratio/high_mean"].item() == 0.5
    assert metrics["clip_ratio/low_mean"].item() == 0.5
    loss.backward()
    assert logprobs.grad is not None
    assert logprobs.grad.abs().max() == 0  # clipped: no gradient


def test_grpo_means_over_each_sequence_first() -> None:
    logprobs = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    mask = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    loss, _ = GRPOLoss(0.2, 0.2, 0.0)(inputs(logprobs, logprobs.detach(), [2.0, 2.0], mask))
    loss.backward()
    assert logprobs.grad is not None
    assert logprobs.grad[0].tolist() == [-1.0, 0.0, 0.0]
    assert logprobs.grad[1].tolist() == pytest.approx([-1 / 3] * 3)


def test_importance_weighs_each_token() -> None:
    logprobs = torch.zeros(1, 2)
    importance = torch.tensor([[2.0, 0.5]])
    loss, _ = GRPOLoss(0.2, 0.2, 0.0)(inputs(logprobs, logprobs, [1.0], importance=importance))
    assert loss.item() == pytest.approx(-1.25)


def test_kl_is_added_with_its_weight() -> None:
    logprobs, ref = torch.tensor([[-1.0]]), torch.tensor([[-1.0 + math.log(2)]])
    expected = 2 - math.log(2) - 1
    assert kl_estimate(logprobs, ref).item() == pytest.approx(expected, abs=1e-6)
    loss, metrics = GRPOLoss(0.2, 0.2, 0.5)(inputs(logprobs, logprobs, [1.0], ref=ref))
    assert loss.item() == pytest.approx(-1 + 0.5 * expected, abs=1e-6)
    assert metrics["kl"].item() == pytest.approx(expected, abs=1e-6)


def test_gspo_ratio_is_the_geometric_mean_of_the_sequence() -> None:
    # Log-ratios 0.2 and -0.1 over two real tokens: mean 0.05; the third is padding.
    logprobs = torch.tensor([[0.2, -0.1, 9.0]], requires_grad=True)
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    loss, _ = GSPOLoss(0.5, 0.5, 0.0)(inputs(logprobs, torch.zeros(1, 3), [1.0], mask))
    assert loss.item() == pytest.approx(-math.exp(0.05))
    loss.backward()
    assert logprobs.grad is not None
    # Each token moves the sequence's one ratio by half.
    assert logprobs.grad[0].tolist() == pytest.approx([-math.exp(0.05) / 2] * 2 + [0.0])


def test_gspo_clips_whole_sequences() -> None:
    logprobs = torch.tensor([[0.01, 0.01], [0.0, 0.0]], requires_grad=True)
    loss, metrics = GSPOLoss(3e-4, 4e-4, 0.0)(inputs(logprobs, torch.zeros(2, 2), [1.0, 0.0]))
    assert loss.item() == pytest.approx(-1.0004 / 2)
    assert metrics["clip_ratio/high_mean"].item() == 0.5


def test_sft_is_the_mean_over_target_tokens() -> None:
    logprobs = torch.tensor([[-1.0, -3.0], [-2.0, -7.0]])
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    loss, _ = SFTLoss()(inputs(logprobs, logprobs, [0.0, 0.0], mask))
    assert loss.item() == pytest.approx(2.0)
