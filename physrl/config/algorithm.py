"""How a policy learns: one class an algorithm, chosen by `type`."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from physrl.config.base import TypedSection
from physrl.config.implementation import Implementation, TypedRegistry

Fraction = Annotated[float, Field(ge=0, lt=1)]


class OptimizationConfig(TypedSection):
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
    """What all algorithms share that learn from rewards."""

    steps: int = Field(100, ge=1)
    """Rollout batches, each followed by `updates_per_rollout` optimizer updates."""
    prompts_per_step: int = Field(16, ge=1)
    """Scenes in a rollout batch."""
    group_size: int = 16
    """Completions of one prompt; the advantage compares them, so there are at least two."""
    updates_per_rollout: int = Field(1, ge=1)
    """Optimizer updates on each rollout batch, over disjoint parts of it."""
    baseline: Literal["group", "leave_one_out"] = "group"
    """What a reward is compared with: its group's mean, or the mean of the group's others."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """What the advantage is divided by: the rewards' deviation in the group or the batch, or 1."""
    multi_objective_aggregation: Literal["sum_then_normalize", "normalize_then_sum"] = (
        "sum_then_normalize"
    )
    """Whether a reward's parts are summed, or first brought to one scale in each group."""
    reward_weights: dict[str, float] = Field({})
    """Of the reward's parts for `normalize_then_sum`; a part that is not named counts once."""
    overlong_cache: int = Field(0, ge=0)
    """Reward falls linearly over this many tokens before `model.max_completion_tokens`; 0: never.
    """
    overlong_penalty: float = Field(1.0, gt=0)
    """What the longest completions lose of their reward, with `overlong_cache`."""
    mask_truncated: bool = False
    """Do not learn from completions that were cut."""
    max_refills: int = Field(0, ge=0, le=100)
    """Dynamic sampling: how often a step replaces groups of equal rewards by others; 0: never."""
    beta: float = Field(0.0, ge=0)
    """Weight of the KL divergence from the base model; needs LoRA, whose base is at hand."""
    use_bias_correction_kl: bool = True
    """Multiply the KL term by the policy's ratio, which makes its gradient unbiased."""
    entropy_coef: float = Field(0.0, ge=0)
    """Weight of the bonus for entropy: the mean over all tokens, in nats."""
    importance_sampling_mode: Literal[
        "sequence_mask", "sequence_truncate", "token_mask", "token_truncate", "none"
    ] = "sequence_mask"
    """How the sampler's slightly different probabilities are corrected for, of tokens or whole
    sequences: bound the weight, or leave out what is beyond the bounds."""
    importance_sampling_max: float | None = Field(3.0, gt=0)
    """Largest weight of that correction; null: no bound."""
    importance_sampling_min: float | None = Field(None, gt=0)
    """Smallest weight of that correction; null: no bound."""

    @field_validator("group_size")
    @classmethod
    def _comparable(cls, group_size: int) -> int:
        if group_size < 2:
            raise ValueError(
                f"is {group_size}: the advantage compares completions of one prompt, so it needs "
                "at least 2; try 16"
            )
        return group_size

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        low, high = self.importance_sampling_min, self.importance_sampling_max
        if low is not None and high is not None and low >= high:
            raise ValueError(
                f"has importance_sampling_min {low:g} and importance_sampling_max {high:g}: "
                "nothing lies between; set importance_sampling_min=null"
            )
        if self.multi_objective_aggregation == "normalize_then_sum":
            if self.scale_rewards != "batch" or self.baseline != "group":
                raise ValueError(
                    f"has scale_rewards {self.scale_rewards} and baseline {self.baseline}, but "
                    "normalize_then_sum normalizes the sum over the batch: set "
                    "scale_rewards=batch and baseline=group"
                )
        elif self.reward_weights:
            raise ValueError(
                "has reward_weights, which only normalize_then_sum looks at: weigh the parts in "
                "the reward's own table, or set multi_objective_aggregation=normalize_then_sum"
            )
        return self


class ClippedConfig(PolicyGradientConfig):
    """What all algorithms share that clip the probability ratio."""

    clip_low: float = Field(0.2, gt=0, lt=1)
    """A token's ratio counts down to 1 - this."""
    clip_high: float = Field(0.2, gt=0)
    """A token's ratio counts up to 1 + this."""
    delta: float | None = Field(None, gt=1)
    """Dual clip: a ratio counts up to this where the advantage is negative; null: no bound."""

    @model_validator(mode="after")
    def _beyond_the_clip(self) -> Self:
        if self.delta is not None and self.delta <= 1 + self.clip_high:
            raise ValueError(
                f"has delta {self.delta:g}, which takes the place of 1 + clip_high = "
                f"{1 + self.clip_high:g}: set delta above it"
            )
        return self


class GRPOConfig(ClippedConfig):
    """Group relative policy optimization (Shao et al. 2024)."""

    type: Literal["grpo"] = "grpo"
    """Chooses this table."""


class BNPOConfig(ClippedConfig):
    """GRPO averaged over the batch's tokens instead of its sequences."""

    type: Literal["bnpo"] = "bnpo"
    """Chooses this table."""


class DrGRPOConfig(ClippedConfig):
    """GRPO without its length and difficulty biases (Liu et al. 2025)."""

    type: Literal["dr_grpo"] = "dr_grpo"
    """Chooses this table."""
    scale_rewards: Literal["group", "batch", "none"] = "none"
    """What the advantage is divided by: the rewards' deviation in the group or the batch, or 1."""


class DAPOConfig(ClippedConfig):
    """Decoupled clip and dynamic sampling (Yu et al. 2025)."""

    type: Literal["dapo"] = "dapo"
    """Chooses this table."""
    clip_high: float = Field(0.28, gt=0)
    """A token's ratio counts up to 1 + this."""
    max_refills: int = Field(3, ge=0, le=100)
    """Dynamic sampling: how often a step replaces groups of equal rewards by others; 0: never."""


class CISPOConfig(PolicyGradientConfig):
    """Clipped importance weights instead of clipped updates (MiniMax-M1 2025)."""

    type: Literal["cispo"] = "cispo"
    """Chooses this table."""
    ratio_max: float = Field(5.0, gt=0)
    """A token's ratio counts up to this; an absolute bound, not 1 + it."""


class GSPOConfig(ClippedConfig):
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
    targets: Literal["ideal", "shuffled"] = "ideal"
    """What is imitated: each scene's ideal answer or, as a control, another scene's."""


ALGORITHMS = TypedRegistry(
    "physrl.algorithms",
    (PolicyGradientConfig, SFTConfig),
    {
        "grpo": Implementation(GRPOConfig, "physrl.algorithms.grpo:grpo_loss"),
        "bnpo": Implementation(BNPOConfig, "physrl.algorithms.bnpo:bnpo_loss"),
        "dr_grpo": Implementation(DrGRPOConfig, "physrl.algorithms.dr_grpo:dr_grpo_loss"),
        "dapo": Implementation(DAPOConfig, "physrl.algorithms.dapo:dapo_loss"),
        "cispo": Implementation(CISPOConfig, "physrl.algorithms.cispo:cispo_loss"),
        "gspo": Implementation(GSPOConfig, "physrl.algorithms.gspo:gspo_loss"),
        "sft": Implementation(SFTConfig, "physrl.algorithms.sft:sft_loss"),
    },
)
"""Configuration classes and the factories of their losses."""
RLConfig = PolicyGradientConfig
AlgorithmConfig = Annotated[PolicyGradientConfig | SFTConfig, ALGORITHMS]
