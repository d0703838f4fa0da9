"""TRL's advantages, importance weights and overlong punishment on hand-made inputs."""

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from trl.rewards import get_soft_overlong_punishment
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_trainer import RLOOTrainer
from trl_losses import LENGTHS, Case, Settings, make_accelerator

GROUP = 2
WORD, END, PAD = 9, 1, 0
PARTS = ("success", "height", "moved")

ADVANTAGES: dict[str, tuple[Settings, Settings]] = {
    f"scaled by {scale}": ({"scale_rewards": scale}, {"scale_rewards": scale})
    for scale in ("group", "batch", "none")
} | {
    "parts normalized first": (
        {"scale_rewards": "batch", "multi_objective_aggregation": "normalize_then_sum"},
        {"multi_objective_aggregation": "normalize_then_sum"},
    ),
    "parts normalized and weighed": (
        {
            "scale_rewards": "batch",
            "multi_objective_aggregation": "normalize_then_sum",
            "reward_weights": {"height": 0.5, "moved": 2.0},
        },
        {
            "multi_objective_aggregation": "normalize_then_sum",
            "reward_weights": torch.tensor([1.0, 0.5, 2.0]),
        },
    ),
}
"""Options as this project's and as TRL's settings."""

BOUNDS = ((None, 3.0), (0.5, 2.0), (0.5, None))


def scoring_inputs() -> dict[str, Tensor]:
    """Make two groups of two, a reward of three parts, and a sampler that differs."""
    generator = torch.Generator().manual_seed(1)
    old = -torch.randn(len(LENGTHS), max(LENGTHS), generator=generator).abs()
    difference = 0.4 * torch.randn(old.shape, generator=generator)
    difference[0, 0], difference[1, 2] = 1.5, -1.4  # beyond the bounds, above and below
    rewards = [[1.0, 0.25, -0.1], [0.0, 0.25, -0.5], [1.0, 0.0, -0.3], [1.0, 0.2, 0.0]]
    return {"old": old, "sampling": old - difference, "rewards": torch.tensor(rewards)}


def advantage_cases() -> dict[str, Case]:
    """Compute advantages of all scales and aggregations and of the leave-one-out baseline."""
    cases = {}
    for name, (ours, theirs) in ADVANTAGES.items():
        outputs, _ = score(theirs)
        cases[name] = {"table": ours, "advantages": outputs["advantages"].tolist()}
    outputs, _ = score({}, RLOOTrainer)
    cases["leave one out"] = {
        "table": {"baseline": "leave_one_out", "scale_rewards": "none"},
        "advantages": outputs["advantages"].tolist(),
    }
    return cases


def importance_cases() -> dict[str, Case]:
    """Compute the weights of the four modes within several bounds."""
    cases = {}
    for level in ("token", "sequence"):
        for bound in ("truncate", "mask"):
            for low, high in BOUNDS:
                settings = {
                    "vllm_importance_sampling_mode": f"{level}_{bound}",
                    "vllm_importance_sampling_clip_min": low,
                    "vllm_importance_sampling_clip_max": high,
                }
                outputs, logged = score(settings)
                cases[f"{level}_{bound}, {low} to {high}"] = {
                    "table": {
                        "importance_sampling_mode": f"{level}_{bound}",
                        "importance_sampling_min": low,
                        "importance_sampling_max": high,
                    },
                    "weights": outputs["importance_sampling_ratio"].tolist(),
                    "metrics": {
                        name: value[0]
                        for name, value in logged.items()
                        if name.startswith("sampling/")
                    },
                }
    return cases


def overlong() -> Case:
    """Compute DAPO's soft punishment of lengths 0 to 12, for a maximum of 10 and a cache of 4."""
    punish = get_soft_overlong_punishment(max_completion_len=10, soft_punish_cache=4)
    return {"max_length": 10, "cache": 4, "punishments": punish([[WORD] * n for n in range(13)])}


def score(settings: Settings, kind: type = GRPOTrainer) -> tuple[Any, dict[str, list[float]]]:
    """Run a trainer's own scoring; return its outputs and metrics."""
    values = scoring_inputs()
    completions = [[WORD] * (length - 1) + [END] for length in LENGTHS]
    sampling = [
        row[:length].tolist() for row, length in zip(values["sampling"], LENGTHS, strict=True)
    ]
    prompts, texts = [[WORD]] * len(LENGTHS), [""] * len(LENGTHS)
    generated = {
        GRPOTrainer: (prompts, completions, None, texts, sampling, {}, None, []),
        RLOOTrainer: (prompts, completions, texts),
    }
    used = {
        "scale_rewards": "group",
        "multi_objective_aggregation": "sum_then_normalize",
        "reward_weights": torch.ones(len(PARTS)),
        "vllm_importance_sampling_mode": "sequence_mask",
        "vllm_importance_sampling_clip_min": None,
        "vllm_importance_sampling_clip_max": 3.0,
    }
    assert set(settings) <= set(used), settings
    trainer = SimpleNamespace(
        **(used | settings),
        accelerator=make_accelerator(1),
        model=SimpleNamespace(training=True, is_gradient_checkpointing=False),
        args=SimpleNamespace(
            per_device_train_batch_size=len(LENGTHS),
            steps_per_generation=1,
            gradient_accumulation_steps=1,
            gradient_checkpointing_kwargs=None,
        ),
        environment_factories=None,
        environments=None,
        tools=None,
        mask_truncated_completions=False,
        normalize_advantages=False,
        reward_clip_range=None,
        _tokenizer=SimpleNamespace(pad_token_id=PAD),
        eos_token_ids=[END],
        pad_to_multiple_of=None,
        use_vllm=True,
        vllm_importance_sampling_correction=True,
        beta=0.0,
        num_iterations=1,
        num_generations=GROUP,
        reward_funcs=PARTS,
        reward_func_names=PARTS,
        log_multimodal=False,
        _metrics={"train": defaultdict(list)},
        _logs=defaultdict(list, rewards=defaultdict(list), extra=defaultdict(list)),
        _pending_extra_logs={},
        _pending_metrics={},
        _generate=lambda _: generated[kind],
        _calculate_rewards=lambda *_: values["rewards"],
        _get_per_token_logps_and_entropies=lambda *_, **__: (values["old"], None, None),
    )
    outputs = kind._generate_and_score_completions(trainer, [{"prompt": ""}] * len(LENGTHS))
    return outputs, trainer._metrics["train"]
