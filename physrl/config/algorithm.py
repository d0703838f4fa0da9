"""How a policy learns: one class an algorithm, chosen by `type`."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from physrl.config.base import Section

Fraction = Annotated[float, Field(ge=0, lt=1)]


class OptimizationConfig(Section):
    """AdamW and its schedule: linear warm-up, then the named decay."""

    lr: float = Field(5e-6, gt=0)
    """Peak learning rate."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.99)
    """How slowly AdamW forgets gradients and their squares."""
    weight_decay: float = Field(0.1, ge=0)
    """AdamW's pull of the weights towards zero."""
    warmup_fraction: float = Field(0.1, ge=0, lt=1)
    """Share of all updates over which the rate rises."""
    decay: Literal["cosine", "linear", "constant"] = "cosine"
    """How the rate falls to zero after the warm-up, if it does."""
    max_grad_norm: float = Field(0.1, gt=0)
    """Longer gradients are shortened to this norm."""


class PolicyGradientConfig(OptimizationConfig):
    """What GRPO and GSPO share."""

    steps: int = Field(100, ge=1)
    """Rollout batches, each followed by `updates_per_rollout` optimizer updates."""
    prompts_per_step: int = Field(16, ge=1)
    """Scenes in a rollout batch."""
    group_size: int = 16
    """Completions of one prompt; the advantage compares them, so there are at least two."""
    updates_per_rollout: int = Field(1, ge=1)
    """Optimizer updates on each rollout batch, over disjoint parts of it."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """What the advantage is divided by."""
    beta: float = Field(0.0, ge=0)
    """Weight of the KL divergence from the base model; needs LoRA, whose base is at hand."""
    importance_cap: float = Field(2.0, gt=0)
    """Bound of the weight that corrects for the sampler's slightly different probabilities."""

    @field_validator("group_size")
    @classmethod
    def _comparable(cls, group_size: int) -> int:
        if group_size < 2:
            raise ValueError(
                f"is {group_size}: the advantage compares completions of one prompt, so it needs "
                "at least 2; try 16"
            )
        return group_size


class GRPOConfig(PolicyGradientConfig):
    """Group relative policy optimization (Shao et al. 2024)."""

    type: Literal["grpo"] = "grpo"
    """Chooses this table."""
    clip_low: float = Field(0.2, gt=0, lt=1)
    """A token's ratio counts down to 1 - this."""
    clip_high: float = Field(0.2, gt=0)
    """A token's ratio counts up to 1 + this."""


class GSPOConfig(PolicyGradientConfig):
    """Group sequence policy optimization (Zheng et al. 2025)."""

    type: Literal["gspo"] = "gspo"
    """Chooses this table."""
    clip_low: float = Field(3e-4, gt=0, lt=1)
    """A sequence's ratio counts down to 1 - this."""
    clip_high: float = Field(4e-4, gt=0)
    """A sequence's ratio counts up to 1 + this."""


class SFTConfig(OptimizationConfig):
    """Supervised fine-tuning on the ideal answers."""

    type: Literal["sft"] = "sft"
    """Chooses this table."""
    lr: float = Field(2e-4, gt=0)
    """Peak learning rate."""
    steps: int = Field(100, ge=1)
    """Batches of scenes, each followed by `updates_per_rollout` optimizer updates."""
    prompts_per_step: int = Field(64, ge=1)
    """Scenes in a step."""
    updates_per_rollout: int = Field(1, ge=1)
    """Optimizer updates on each step's scenes, over disjoint parts of them."""


AlgorithmConfig = Annotated[GRPOConfig | GSPOConfig | SFTConfig, Field(discriminator="type")]
