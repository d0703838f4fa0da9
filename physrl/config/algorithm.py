"""Configuration of the learning algorithms: one class per algorithm, chosen by `type`."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from physrl.config.base import TypedSection
from physrl.config.implementation import Implementation, TypedRegistry

Fraction = Annotated[float, Field(ge=0, lt=1)]
Targets = Literal["ideal", "shuffled", "outcomes"]
"""Target completions of SFT."""


class OptimizationConfig(TypedSection):
    """AdamW, its learning-rate schedule and the size of a step."""

    uses_rollouts: ClassVar[bool] = True
    """True if the algorithm learns from sampled completions, False if from demonstrations."""

    lr: float = Field(5e-6, gt=0)
    """Peak learning rate, reached by a linear warm-up; TRL's `learning_rate`."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.99)
    """AdamW's decay rates of the running means of the gradient and of its square."""
    weight_decay: float = Field(0.1, ge=0)
    """AdamW's decoupled weight decay."""
    warmup_fraction: float = Field(0.1, ge=0, lt=1)
    """Fraction of all updates over which the learning rate rises; TRL's `warmup_ratio`."""
    decay: Literal["cosine", "linear", "constant"] = "cosine"
    """Learning-rate schedule after the warm-up: cosine or linear decay to zero, or constant."""
    max_grad_norm: float = Field(0.1, gt=0)
    """Gradient clipping: the largest norm of an update's gradient."""
    steps: int = Field(100, ge=0)
    """Number of steps, each a batch of scenes and `updates_per_rollout` optimizer updates on it;
    0: the warm start alone."""
    prompts_per_step: int = Field(16, ge=1)
    """Number of scenes, and so of prompts, per step."""
    updates_per_rollout: int = Field(1, ge=1)
    """Number of optimizer updates per step, on disjoint parts of its batch; TRL's
    `steps_per_generation`."""

    @property
    def completions_per_step(self) -> int:
        """Number of completions that a step trains on."""
        return self.prompts_per_step

    @model_validator(mode="after")
    def _every_update_has_a_completion(self) -> Self:
        if self.updates_per_rollout > self.completions_per_step:
            raise ValueError(
                f"has updates_per_rollout {self.updates_per_rollout} but only "
                f"{self.completions_per_step} completions per step: lower updates_per_rollout or "
                "raise prompts_per_step"
            )
        return self


class RolloutConfig(OptimizationConfig):
    """Settings shared by the algorithms that learn from sampled completions."""

    uses_rollouts: ClassVar[Literal[True]] = True

    group_size: int = Field(16, ge=1)
    """Number of completions per prompt; TRL's `num_generations`."""

    @property
    def completions_per_step(self) -> int:
        """Number of completions that a step samples."""
        return self.prompts_per_step * self.group_size


class PolicyGradientConfig(RolloutConfig):
    """Settings shared by the algorithms that learn from rewards."""

    group_size: int = 16
    """Number of completions per prompt, at least 2, because advantages compare them; TRL's
    `num_generations`."""
    reward_source: Literal["own", "yoked", "random"] = "own"
    """Source of the rewards that are learned from: the completions' own outcomes or, as controls
    without interaction, those that another scene's group of the same step and task earned
    (`yoked`), or a coin tossed for each completion (`random`)."""
    baseline: Literal["group", "leave_one_out"] = "group"
    """Baseline of the advantage: the mean reward of the group, or of the group's other completions
    (RLOO)."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """Divisor of the advantage: the rewards' standard deviation in the group or in the batch, or
    1."""
    multi_objective_aggregation: Literal["sum_then_normalize", "normalize_then_sum"] = (
        "sum_then_normalize"
    )
    """Order in which a reward's parts are summed and normalized in their group (GDPO)."""
    reward_weights: dict[str, float] = Field({})
    """Weights of the reward's parts under `normalize_then_sum`; 1 for a part that is missing."""
    overlong_cache: int = Field(0, ge=0)
    """Number of tokens before `model.max_completion_tokens` over which the reward falls linearly
    (DAPO's soft overlong punishment); 0 disables it."""
    overlong_penalty: float = Field(1.0, gt=0)
    """Reward that a completion of the maximum length loses under `overlong_cache`."""
    mask_truncated: bool = False
    """Exclude truncated completions from the loss; TRL's `mask_truncated_completions`."""
    max_refills: int = Field(0, ge=0, le=100)
    """Dynamic sampling (DAPO): the largest number of times a step replaces groups of equal rewards
    by groups of other scenes; 0 disables it."""
    beta: float = Field(0.0, ge=0)
    """Coefficient of the KL divergence from the reference policy."""
    reference: Literal["start", "base"] = "start"
    """Reference policy of the KL term: the weights that reinforcement starts from, which are those
    of the warm start or start adapter if there is one (as in TRL), or the base model under the
    adapter."""
    sync_every: int = Field(0, ge=0)
    """Updates of the policy after which it becomes the reference (TRL: ref_model_sync_steps, with
    ref_model_mixup_alpha 1), counted in steps; 0: never."""
    use_bias_correction_kl: bool = True
    """Multiply the KL estimate by the probability ratio, which makes its gradient unbiased."""
    entropy_coef: float = Field(0.0, ge=0)
    """Coefficient of the entropy bonus: the mean over all tokens, in nats."""
    importance_sampling_mode: Literal[
        "sequence_mask", "sequence_truncate", "token_mask", "token_truncate", "none"
    ] = "sequence_mask"
    """Importance-sampling correction of the difference between sampler and learner, per token or
    sequence: weights beyond the bounds are truncated to them, or masked (set to 0); TRL's
    `vllm_importance_sampling_mode`."""
    importance_sampling_max: float | None = Field(3.0, gt=0)
    """Upper bound of the importance-sampling weight; null for none."""
    importance_sampling_min: float | None = Field(None, gt=0)
    """Lower bound of the importance-sampling weight; null for none."""

    @field_validator("group_size")
    @classmethod
    def _comparable(cls, group_size: int) -> int:
        if group_size < 2:
            raise ValueError(
                f"is {group_size}: the advantage compares the completions of one prompt, so it "
                "needs at least 2; try 16"
            )
        return group_size

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        low, high = self.importance_sampling_min, self.importance_sampling_max
        if low is not None and high is not None and low >= high:
            raise ValueError(
                f"has importance_sampling_min {low:g} but importance_sampling_max {high:g}: set "
                "importance_sampling_min below it, or to null"
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
                "has reward_weights, which only normalize_then_sum uses: set the weights in the "
                "reward's own table, or multi_objective_aggregation=normalize_then_sum"
            )
        return self


class ClippedConfig(PolicyGradientConfig):
    """Settings shared by the algorithms that clip the probability ratio."""

    clip_low: float = Field(0.2, gt=0, lt=1)
    """Lower clip range: token ratios are clipped at 1 - clip_low; TRL's `epsilon`."""
    clip_high: float = Field(0.2, gt=0)
    """Upper clip range: token ratios are clipped at 1 + clip_high; TRL's `epsilon_high`."""
    delta: float | None = Field(None, gt=1)
    """Upper bound of the ratio where the advantage is negative (dual clip); null for none."""

    @model_validator(mode="after")
    def _beyond_the_clip(self) -> Self:
        if self.delta is not None and self.delta <= 1 + self.clip_high:
            raise ValueError(
                f"has delta {self.delta:g} but 1 + clip_high {1 + self.clip_high:g}: set delta "
                "above it"
            )
        return self


class GRPOConfig(ClippedConfig):
    """Group relative policy optimization (Shao et al. 2024)."""

    type: Literal["grpo"] = "grpo"
    """Selects this table."""


class BNPOConfig(ClippedConfig):
    """GRPO averaged over the batch's tokens instead of its sequences."""

    type: Literal["bnpo"] = "bnpo"
    """Selects this table."""


class DrGRPOConfig(ClippedConfig):
    """GRPO without its length and difficulty biases (Liu et al. 2025)."""

    type: Literal["dr_grpo"] = "dr_grpo"
    """Selects this table."""
    scale_rewards: Literal["group", "batch", "none"] = "none"
    """Divisor of the advantage: the rewards' standard deviation in the group or in the batch, or
    1."""


class DAPOConfig(ClippedConfig):
    """Decoupled clip and dynamic sampling (Yu et al. 2025)."""

    type: Literal["dapo"] = "dapo"
    """Selects this table."""
    clip_high: float = Field(0.28, gt=0)
    """Upper clip range: token ratios are clipped at 1 + clip_high; TRL's `epsilon_high`."""
    max_refills: int = Field(3, ge=0, le=100)
    """Dynamic sampling (DAPO): the largest number of times a step replaces groups of equal rewards
    by groups of other scenes; 0 disables it."""


class CISPOConfig(PolicyGradientConfig):
    """Clipped importance weights instead of clipped updates (MiniMax-M1 2025)."""

    type: Literal["cispo"] = "cispo"
    """Selects this table."""
    ratio_max: float = Field(5.0, gt=0)
    """Upper bound of a token's ratio: absolute, not relative to 1; TRL's `epsilon_high`."""


class GSPOConfig(ClippedConfig):
    """Group sequence policy optimization (Zheng et al. 2025)."""

    type: Literal["gspo"] = "gspo"
    """Selects this table."""
    clip_low: float = Field(3e-4, gt=0, lt=1)
    """Lower clip range: sequence ratios are clipped at 1 - clip_low; TRL's `epsilon`."""
    clip_high: float = Field(4e-4, gt=0)
    """Upper clip range: sequence ratios are clipped at 1 + clip_high; TRL's `epsilon_high`."""


class RejectionConfig(RolloutConfig):
    """Rejection sampling (Yuan et al. 2023): SFT on the policy's own completions that succeed."""

    type: Literal["rejection"] = "rejection"
    """Selects this table."""
    lr: float = Field(2e-4, gt=0)
    """Peak learning rate, reached by a linear warm-up; TRL's `learning_rate`."""


class SFTConfig(OptimizationConfig):
    """Supervised fine-tuning on the ideal answers."""

    uses_rollouts: ClassVar[Literal[False]] = False
    group_size: ClassVar[Literal[1]] = 1

    type: Literal["sft"] = "sft"
    """Selects this table."""
    lr: float = Field(2e-4, gt=0)
    """Peak learning rate, reached by a linear warm-up; TRL's `learning_rate`."""
    prompts_per_step: int = Field(64, ge=1)
    """Number of scenes, and so of prompts, per step."""
    epochs: int = Field(1, ge=1)
    """Number of passes over the scenes, which `steps` are divided into: with 2, the second half of
    the steps sees the scenes of the first half again, its batches in another order (TRL:
    num_train_epochs)."""
    targets: Targets = "ideal"
    """Target completions: each scene's ideal answer, another scene's (`shuffled`, a control), or
    the outcome of an action of another policy (`outcomes`, a passive observer)."""

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps of a pass over the scenes."""
        return self.steps // self.epochs

    @model_validator(mode="after")
    def _passes_are_equal(self) -> Self:
        if self.steps % self.epochs:
            more = (self.steps_per_epoch + 1) * self.epochs
            raise ValueError(
                f"has steps {self.steps} in {self.epochs} epochs, which are not equally many for "
                f"each: set steps={more} or another multiple of epochs"
            )
        return self


ALGORITHMS = TypedRegistry(
    "physrl.algorithms",
    (PolicyGradientConfig, RejectionConfig, SFTConfig),
    {
        "grpo": Implementation(GRPOConfig, "physrl.algorithms.grpo:grpo_loss"),
        "bnpo": Implementation(BNPOConfig, "physrl.algorithms.bnpo:bnpo_loss"),
        "dr_grpo": Implementation(DrGRPOConfig, "physrl.algorithms.dr_grpo:dr_grpo_loss"),
        "dapo": Implementation(DAPOConfig, "physrl.algorithms.dapo:dapo_loss"),
        "cispo": Implementation(CISPOConfig, "physrl.algorithms.cispo:cispo_loss"),
        "gspo": Implementation(GSPOConfig, "physrl.algorithms.gspo:gspo_loss"),
        "rejection": Implementation(RejectionConfig, "physrl.algorithms.sft:sft_loss"),
        "sft": Implementation(SFTConfig, "physrl.algorithms.sft:sft_loss"),
    },
)
"""Configuration classes and the factories of their losses."""
RLConfig = PolicyGradientConfig
AlgorithmConfig = Annotated[PolicyGradientConfig | RejectionConfig | SFTConfig, ALGORITHMS]
