"""Losses and their gradients against numbers worked out by hand."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from physrl.algorithms.bnpo import bnpo_loss
from physrl.algorithms.cispo import cispo_loss
from physrl.algorithms.dapo import dapo_loss
from physrl.algorithms.dr_grpo import dr_grpo_loss
from physrl.algorithms.grpo import grpo_loss
from physrl.algorithms.gspo import gspo_loss
from physrl.algorithms.kl import kl_estimate
from physrl.algorithms.loss import LossInputs
from physrl.algorithms.registry import make_loss
from physrl.algorithms.sft import SFTLoss
from physrl.config.algorithm import (
    ALGORITHMS,
    BNPOConfig,
    CISPOConfig,
    DAPOConfig,
    DrGRPOConfig,
    GRPOConfig,
    GSPOConfig,
)
from physrl.config.load import validate

MASK = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])


def inputs(
    logprobs: Tensor,
    old: Tensor,
    advantages: list[float],
    mask: Tensor | None = None,
    importance: Tensor | None = None,
    ref: Tensor | None = None,
    entropy: Tensor | None = None,
) -> LossInputs:
    mask = torch.ones_like(old) if mask is None else mask
    return LossInputs(
        logprobs=logprobs,
        old_logprobs=old,
        entropy=torch.zeros_like(old) if entropy is None else entropy,
        mask=mask,
        advantages=torch.tensor(advantages),
        importance=torch.ones_like(old) if importance is None else importance,
        ref_logprobs=ref,
        sequences=len(old),
        tokens=int(mask.sum()),
        max_length=10,
    )


def on_policy(advantages: list[float]) -> LossInputs:
    """A completion of one token and one of three."""
    logprobs = torch.zeros(2, 3, requires_grad=True)
    return inputs(logprobs, logprobs.detach(), advantages, MASK)


def test_grpo_on_policy_loss_is_minus_the_mean_advantage() -> None:
    logprobs = torch.tensor([[-1.0, -2.0], [-0.5, -0.1]], requires_grad=True)
    loss, metrics = grpo_loss(GRPOConfig())(inputs(logprobs, logprobs.detach(), [1.0, -3.0]))
    assert loss.item() == pytest.approx(1.0)  # -(1 - 3) / 2
    assert metrics["clip_ratio/high_mean"] == 0
    loss.backward()
    # d/dlp of -A exp(lp - old) is -A at ratio 1, over 2 tokens and 2 sequences.
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == [[-0.25, -0.25], [0.75, 0.75]]


def test_grpo_clips_both_ways() -> None:
    old = torch.zeros(2, 1)
    logprobs = torch.tensor([[math.log(1.5)], [math.log(0.5)]], requires_grad=True)
    loss_of = grpo_loss(GRPOConfig(clip_low=0.2, clip_high=0.3))
    loss, metrics = loss_of(inputs(logprobs, old, [1.0, -1.0]))
    # min(1.5, 1.3) = 1.3 for A = 1; min(-0.5, -0.8) = -0.8 for A = -1: -(1.3 - 0.8) / 2.
    assert loss.item() == pytest.approx(-0.25)
    assert metrics["clip_ratio/high_mean"].item() == 0.5
    assert metrics["clip_ratio/low_mean"].item() == 0.5
    assert metrics["clip_ratio/region_mean"].item() == 1.0
    assert metrics["clip_ratio/high_max"].item() == 1.0
    assert metrics["clip_ratio/low_min"].item() == 0.0
    loss.backward()
    assert logprobs.grad is not None
    assert logprobs.grad.abs().max() == 0  # clipped: no gradient


def test_dual_clip_bounds_the_loss_of_a_negative_advantage() -> None:
    logprobs = torch.tensor([[math.log(9.0)]], requires_grad=True)
    given = inputs(logprobs, torch.zeros(1, 1), [-1.0])
    free, _ = grpo_loss(GRPOConfig())(given)
    bounded, _ = grpo_loss(GRPOConfig(delta=3.0))(given)
    assert free.item() == pytest.approx(9.0)
    assert bounded.item() == pytest.approx(3.0)
    bounded.backward()
    assert logprobs.grad is not None
    assert logprobs.grad.item() == 0


def test_each_algorithm_has_its_own_mean() -> None:
    # On policy every token's loss is -A: -2 once and -6 three times.
    losses = {
        "grpo": (-2 - 6) / 2,
        "gspo": (-2 - 6) / 2,
        "bnpo": (-2 - 3 * 6) / 4,
        "dapo": (-2 - 3 * 6) / 4,
        "dr_grpo": (-2 - 3 * 6) / (2 * 10),
    }
    for name, expected in losses.items():
        loss_of = make_loss(validate({"algorithm": {"type": name}}).algorithm)
        assert loss_of(on_policy([2.0, 6.0]))[0].item() == pytest.approx(expected), name


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_shares_add_up_to_the_loss_of_the_whole(name: str) -> None:
    further = {} if name in ("rejection", "sft") else {"beta": 0.1, "entropy_coef": 0.1}
    table = {"type": name} | further
    algorithm = validate({"algorithm": table, "model": {"lora": {}}}).algorithm
    noise = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0)) / 4
    whole = replace(
        on_policy([2.0, -6.0]), logprobs=noise[0], ref_logprobs=noise[1], entropy=noise[2].abs()
    )
    loss, metrics = make_loss(algorithm)(whole)
    rows = ("logprobs", "old_logprobs", "entropy", "mask", "importance", "ref_logprobs")
    shares = [
        make_loss(algorithm)(
            replace(
                whole,
                advantages=whole.advantages[row : row + 1],
                **{key: getattr(whole, key)[row : row + 1] for key in rows},
            )
        )
        for row in range(2)
    ]
    assert sum(share.item() for share, _ in shares) == pytest.approx(loss.item(), rel=1e-5)
    for key, value in metrics.items():
        if not key.endswith(("_min", "_max")):
            total = sum(share[key].item() for _, share in shares)
            assert total == pytest.approx(value.item(), rel=1e-5, abs=1e-7), key


def test_a_masked_sequence_counts_as_a_sequence_but_has_no_gradient() -> None:
    given = on_policy([2.0, 6.0])
    mask = given.mask.clone()
    mask[1] = 0
    left = replace(given, mask=mask, tokens=1)
    loss, _ = grpo_loss(GRPOConfig())(left)
    assert loss.item() == pytest.approx(-1.0)  # -2 over two sequences
    assert bnpo_loss(BNPOConfig())(left)[0].item() == pytest.approx(-2.0)  # over one token
    assert dr_grpo_loss(DrGRPOConfig())(left)[0].item() == pytest.approx(-2.0 / 20)
    loss.backward()
    assert given.logprobs.grad is not None
    assert given.logprobs.grad[1].abs().max() == 0


def test_completions_of_one_token_are_clipped_as_tokens() -> None:
    logprobs = torch.tensor([[math.log(1.5)], [0.0]])
    mask = torch.tensor([[1.0], [0.0]])
    given = inputs(logprobs, torch.zeros(2, 1), [1.0, 1.0], mask)
    _, metrics = grpo_loss(GRPOConfig())(given)
    assert metrics["clip_ratio/high_mean"].item() == 1.0  # the one token that counts
    _, metrics = gspo_loss(GSPOConfig())(given)
    assert metrics["clip_ratio/high_mean"].item() == 0.5  # of two sequences
    _, metrics = cispo_loss(CISPOConfig(ratio_max=1.2))(given)
    assert metrics["cispo_clip_ratio"].item() == 1.0


def test_importance_weights_multiply_each_token() -> None:
    logprobs = torch.zeros(1, 2)
    importance = torch.tensor([[2.0, 0.5]])
    loss, _ = grpo_loss(GRPOConfig())(inputs(logprobs, logprobs, [1.0], importance=importance))
    assert loss.item() == pytest.approx(-1.25)


def test_kl_is_added_with_its_weight() -> None:
    logprobs, ref = torch.tensor([[-1.0]]), torch.tensor([[-1.0 + math.log(2)]])
    expected = 2 - math.log(2) - 1
    assert kl_estimate(logprobs, ref).item() == pytest.approx(expected, abs=1e-6)
    config = GRPOConfig(beta=0.5, use_bias_correction_kl=False)
    loss, metrics = grpo_loss(config)(inputs(logprobs, logprobs, [1.0], ref=ref))
    assert loss.item() == pytest.approx(-1 + 0.5 * expected, abs=1e-6)
    assert metrics["kl"].item() == pytest.approx(expected, abs=1e-6)


def test_the_corrected_kl_has_the_gradient_of_the_divergence() -> None:
    ref = torch.tensor([[math.log(2)]])
    gradients = {}
    for corrected in (False, True):
        logprobs = torch.zeros(1, 1, requires_grad=True)
        config = GRPOConfig(beta=1.0, use_bias_correction_kl=corrected)
        loss, _ = grpo_loss(config)(inputs(logprobs, torch.zeros(1, 1), [0.0], ref=ref))
        loss.backward()
        assert logprobs.grad is not None
        gradients[corrected] = logprobs.grad.item()
    # k3 with r = ref - lp has gradient 1 - exp(r); with the ratio 1 before it, exp(r) - r - 1 more.
    assert gradients[False] == pytest.approx(1 - 2)
    assert gradients[True] == pytest.approx(-math.log(2), abs=1e-6)


def test_entropy_is_a_bonus_over_all_tokens() -> None:
    entropy = torch.tensor([[4.0, 9.0, 9.0], [0.0, 2.0, 2.0]], requires_grad=True)
    given = replace(on_policy([0.0, 0.0]), entropy=entropy)
    loss, metrics = grpo_loss(GRPOConfig(entropy_coef=0.5))(given)
    assert metrics["entropy"].item() == 2.0  # 4, 0, 2, 2: padding does not count
    assert loss.item() == pytest.approx(-1.0)
    loss.backward()
    assert entropy.grad is not None
    assert entropy.grad.tolist() == (-0.5 / 4 * MASK).tolist()


def test_dapo_clips_higher_above_than_below() -> None:
    logprobs = torch.tensor([[math.log(1.25)], [math.log(0.75)]])
    _, metrics = dapo_loss(DAPOConfig())(inputs(logprobs, torch.zeros(2, 1), [1.0, -1.0]))
    assert metrics["clip_ratio/high_mean"].item() == 0.0
    assert metrics["clip_ratio/low_mean"].item() == 0.5


def test_cispo_keeps_the_gradient_of_clipped_tokens() -> None:
    logprobs = torch.tensor([[math.log(8.0)], [math.log(0.5)]], requires_grad=True)
    loss, metrics = cispo_loss(CISPOConfig())(inputs(logprobs, torch.zeros(2, 1), [1.0, -1.0]))
    # Weights min(8, 5) and 0.5: -(5 x 1 x log 8) and +(0.5 x log 0.5), over two tokens.
    assert loss.item() == pytest.approx((-5 * math.log(8) + 0.5 * math.log(0.5)) / 2)
    assert metrics["cispo_clip_ratio"].item() == 0.5
    loss.backward()
    assert logprobs.grad is not None
    assert logprobs.grad.flatten().tolist() == pytest.approx([-2.5, 0.25])


def test_gspo_ratio_is_the_geometric_mean_of_the_sequence() -> None:
    # Log-ratios 0.2 and -0.1 over two real tokens: mean 0.05; the third is padding.
    logprobs = torch.tensor([[0.2, -0.1, 9.0]], requires_grad=True)
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    loss_of = gspo_loss(GSPOConfig(clip_low=0.5, clip_high=0.5))
    loss, _ = loss_of(inputs(logprobs, torch.zeros(1, 3), [1.0], mask))
    assert loss.item() == pytest.approx(-math.exp(0.05))
    loss.backward()
    assert logprobs.grad is not None
    # Each token moves the sequence's one ratio by half.
    assert logprobs.grad[0].tolist() == pytest.approx([-math.exp(0.05) / 2] * 2 + [0.0])


def test_gspo_clips_whole_sequences() -> None:
    logprobs = torch.tensor([[0.01, 0.01, 0.01], [0.0, 0.0, 0.0]], requires_grad=True)
    mask = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    loss, metrics = gspo_loss(GSPOConfig())(inputs(logprobs, torch.zeros(2, 3), [1.0, 0.0], mask))
    assert loss.item() == pytest.approx(-1.0004 / 2)
    assert metrics["clip_ratio/high_mean"].item() == 0.5  # of sequences, however long


def test_weighted_demonstrations_count_by_their_weight() -> None:
    logprobs = torch.tensor([[-1.0, -3.0], [-2.0, -7.0]])
    mask = torch.tensor([[1.0, 1.0], [0.5, 0.0]])
    weighted = replace(inputs(logprobs, logprobs, [0.0, 0.0], mask), tokens=2.5)
    assert SFTLoss()(weighted)[0].item() == pytest.approx((1 + 3 + 0.5 * 2) / 2.5)


def test_sft_is_the_mean_over_target_tokens() -> None:
    logprobs = torch.tensor([[-1.0, -3.0], [-2.0, -7.0]])
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    loss, _ = SFTLoss()(inputs(logprobs, logprobs, [0.0, 0.0], mask))
    assert loss.item() == pytest.approx(2.0)
