"""TRL's losses and their gradients on hand-made tensors."""

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.sft_trainer import SFTTrainer

Case = dict[str, Any]
Settings = dict[str, Any]
LENGTHS = (5, 3, 4, 1)
LONGEST = 7
"""Maximum completion length, above any length here: Dr. GRPO divides by it."""
MASKED = 2
"""Index of the completion that some cases mask."""

LOSSES: dict[str, Settings] = {
    "grpo": {},
    "bnpo": {"loss_type": "bnpo"},
    "dr_grpo": {"loss_type": "dr_grpo"},
    "dapo": {"loss_type": "dapo", "epsilon_high": 0.28},
    "cispo": {"loss_type": "cispo", "epsilon_high": 5.0},
    "gspo": {
        "importance_sampling_level": "sequence",
        "epsilon_low": 3e-4,
        "epsilon_high": 4e-4,
    },
}
"""This project's algorithms at their defaults, as TRL's settings."""

OPTIONS: dict[str, tuple[Settings, Settings]] = {
    "at its defaults": ({}, {}),
    "corrected KL": ({"beta": 0.04}, {"beta": 0.04}),
    "plain KL": (
        {"beta": 0.04, "use_bias_correction_kl": False},
        {"beta": 0.04, "use_bias_correction_kl": False},
    ),
    "entropy bonus": ({"entropy_coef": 0.01}, {"entropy_coef": 0.01}),
    "weighted sampler": ({}, {"use_vllm": True}),
    "all at once": (
        {"beta": 0.04, "entropy_coef": 0.01},
        {"beta": 0.04, "entropy_coef": 0.01, "use_vllm": True},
    ),
}
"""Options of every algorithm, as this project's and as TRL's settings."""

CLIPS: dict[str, tuple[Settings, Settings]] = {
    "other clip": (
        {"clip_low": 0.1, "clip_high": 0.4},
        {"epsilon_low": 0.1, "epsilon_high": 0.4},
    ),
    "dual clip": ({"delta": 1.5}, {"delta": 1.5}),
}


def loss_cases() -> dict[str, Case]:
    """Compute every loss with every option that both have."""
    cases = {"sft, at its defaults": sft_loss()}
    for name, base in LOSSES.items():
        clips = {} if name == "cispo" else CLIPS
        for option, (ours, theirs) in (OPTIONS | clips).items():
            cases[f"{name}, {option}"] = policy_loss({"type": name} | ours, base | theirs)
        table = {"type": name}
        cases[f"{name}, masked completion"] = policy_loss(table, base, leave_out=True)
        if name != "bnpo":  # TRL's depends on the division
            cases[f"{name}, two micro-batches"] = policy_loss(table, base, parts=2)
            cases[f"{name}, two ranks"] = policy_loss(table, base, ranks=2)
    return cases


def loss_inputs() -> dict[str, Tensor]:
    """Make completions whose ratios exceed every bound on both sides."""
    generator = torch.Generator().manual_seed(0)

    def normal() -> Tensor:
        return torch.randn(len(LENGTHS), max(LENGTHS), generator=generator)

    old = -normal().abs() - 0.1
    log_ratio = 0.3 * normal()
    log_ratio[0, 1], log_ratio[1, 0] = 2.0, 1.9  # beyond cispo's 5 and delta, for either sign of A
    log_ratio[2, 2], log_ratio[3, 0] = -1.5, 1e-4  # far below, and within gspo's narrow bounds
    return {
        "logprobs": old + log_ratio,
        "old_logprobs": old,
        "ref_logprobs": old + 0.5 * normal(),
        "entropy": normal().abs(),
        "importance": 0.5 + normal().abs(),
        "mask": (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).float(),
        "advantages": torch.tensor([1.25, -0.75, 0.5, -1.5]),
    }


def policy_loss(
    table: Settings, settings: Settings, *, leave_out: bool = False, parts: int = 1, ranks: int = 1
) -> Case:
    """Compute a loss and its gradients, over micro-batches or ranks where asked."""
    values = loss_inputs()
    if leave_out:
        values["mask"][MASKED] = 0
    logprobs = values["logprobs"].requires_grad_()
    entropy = values["entropy"].requires_grad_()
    trainer = make_trainer(settings, parts, ranks)
    total = torch.zeros(())
    for rows in torch.arange(len(LENGTHS)).chunk(parts * ranks):
        answer = (logprobs[rows], entropy[rows], None)
        trainer._get_per_token_logps_and_entropies = lambda *_, answer=answer, **__: answer
        mask = values["mask"][rows]
        inputs = {
            "prompt_ids": torch.ones(len(rows), 1),
            "prompt_mask": torch.ones(len(rows), 1),
            "completion_ids": torch.ones_like(mask),
            "completion_mask": mask,
            "advantages": values["advantages"][rows],
            "num_items_in_batch": values["mask"].sum(),
            "old_per_token_logps": values["old_logprobs"][rows],
            "ref_per_token_logps": values["ref_logprobs"][rows],
            "importance_sampling_ratio": values["importance"][rows],
        }
        # Ranks average their gradients.
        total = total + GRPOTrainer._compute_loss(trainer, None, inputs) / ranks
    total.backward()
    logged = {name: value[0] for name, value in trainer._metrics["train"].items()}
    whole = parts * ranks == 1
    return {
        "table": table,
        "masked": leave_out,
        "divisions": parts * ranks,
        "weighted": trainer.use_vllm,
        "loss": total.item(),
        "grad_logprobs": logprobs.grad.tolist(),
        "grad_entropy": [] if entropy.grad is None else entropy.grad.tolist(),
        "metrics": {name: value for name, value in logged.items() if whole and "loss" not in name},
    }


def make_trainer(settings: Settings, parts: int, ranks: int) -> Any:
    """Make a stand-in with the attributes that `GRPOTrainer._compute_loss` reads."""
    used = {
        "loss_type": "grpo",
        "importance_sampling_level": "token",
        "epsilon_low": 0.2,
        "epsilon_high": 0.2,
        "delta": None,
        "beta": 0.0,
        "use_bias_correction_kl": True,
        "entropy_coef": 0.0,
        "use_vllm": False,
    }
    assert set(settings) <= set(used), settings
    used |= settings
    return SimpleNamespace(
        **used,
        args=SimpleNamespace(**used, steps_per_generation=parts),
        model=SimpleNamespace(training=True),
        accelerator=make_accelerator(ranks),
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        vllm_importance_sampling_correction=True,
        current_gradient_accumulation_steps=parts,
        max_completion_length=LONGEST,
        _entropy_bonus_enabled=used["entropy_coef"] != 0,
        use_adaptive_entropy=False,
        _metrics={"train": defaultdict(list)},
    )


def make_accelerator(ranks: int) -> Any:
    """Make a stand-in that gathers nothing."""
    return SimpleNamespace(
        num_processes=ranks,
        process_index=0,
        device=torch.device("cpu"),
        sync_gradients=False,
        parallelism_config=None,
        gather=lambda value: value,
        gather_for_metrics=lambda value: value,
        reduce=lambda value, reduction: value,
    )


def sft_loss() -> Case:
    """Compute SFTTrainer's cross entropy."""
    values = loss_inputs()
    logprobs, mask = values["logprobs"].requires_grad_(), values["mask"]
    outputs = SimpleNamespace(
        log_probs=logprobs * mask,
        label_mask=mask.bool(),
        entropy=values["entropy"] * mask,
        is_top1=mask.bool(),
    )
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=make_accelerator(1),
        args=SimpleNamespace(loss_type="nll", average_tokens_across_devices=True),
        aux_loss_enabled=False,
        compute_loss_func=None,
        label_smoother=None,
        get_tp_size=lambda: 1,
        _total_train_tokens=0,
        _tp_size=1,
        _metrics={"train": defaultdict(list)},
    )
    loss = SFTTrainer.compute_loss(
        trainer, lambda **_: outputs, {"attention_mask": mask}, num_items_in_batch=mask.sum()
    )
    loss.backward()
    return {
        "table": {"type": "sft"},
        "masked": False,
        "divisions": 1,
        "weighted": False,
        "loss": loss.item(),
        "grad_logprobs": logprobs.grad.tolist(),
        "grad_entropy": [],
        "metrics": {"entropy": trainer._metrics["train"]["entropy"][0]},
    }
