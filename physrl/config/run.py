"""The configuration of a training run."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from physrl.config.algorithm import (
    AlgorithmConfig,
    GRPOConfig,
    PolicyGradientConfig,
    SFTConfig,
)
from physrl.config.auxiliary import OutcomeConfig
from physrl.config.base import Section
from physrl.config.checkpoint import CheckpointConfig
from physrl.config.environment import EnvironmentConfig
from physrl.config.evaluation import EvaluationConfig
from physrl.config.location import LocalPath, Location, parse_place
from physrl.config.model import ModelConfig
from physrl.config.questions import Data, QuestionsConfig
from physrl.config.reward import RewardConfig, SimulatedRewardConfig, check_trains
from physrl.config.runtime import RuntimeConfig
from physrl.config.task import AnyTaskName, TaskName
from physrl.config.tracking import TrackingConfig
from physrl.types import QUESTIONS

DEFAULT_TYPES = {"algorithm": "grpo", "warm_start": "sft", "reward": "simulated"}
"""Types of tables that name none."""


class RunConfig(Section):
    """Top level of a run's configuration."""

    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the run, and of its folder inside `output`."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    """Random seed of scenes, sampling and new weights."""
    output: LocalPath = Field(Path("runs"), validate_default=True)
    """Folder of all runs."""
    storage: Location | None = None
    """Second location of the run, a folder or s3://bucket/prefix: another machine resumes from it,
    and `physrl pull` downloads its checkpoints. Null: none."""
    task: AnyTaskName = "place"
    """Task to train on; `questions` where `data` holds questions."""
    mixture: tuple[TaskName, ...] = ()
    """Tasks of multi-task training, scene by scene in turn; the first is `task`. Empty: `task`
    alone."""
    environment: EnvironmentConfig = EnvironmentConfig()
    """Distribution and rendering of scenes."""
    curriculum: Literal["uniform", "adaptive"] = "uniform"
    """Curriculum of training scenes: `uniform` takes them as they come, `adaptive` (or `self_play`)
    prefers those on which it predicts that half of a group's completions succeed."""
    data: Data = None
    """Collected dataset, a folder or s3://bucket/prefix, whose scenes replace newly drawn ones; it
    must have this `task` and `environment`. Or a table: questions about images of your own
    (docs/own_data.md). Null: draw scenes."""
    model: ModelConfig = ModelConfig()
    """Model and adapters."""
    algorithm: AlgorithmConfig = GRPOConfig()
    """Training algorithm and its hyperparameters."""
    warm_start: SFTConfig | None = None
    """Supervised fine-tuning before reinforcement, so that there are successes to reinforce. Null:
    none."""
    reward: RewardConfig = SimulatedRewardConfig()
    """Reward of a rollout."""
    auxiliary: OutcomeConfig | None = None
    """Auxiliary objective: prediction of the physical outcome. Null: none."""
    temperature: float = Field(1.0, gt=0, le=2)
    """Sampling temperature of completions; the learner scores them at the same temperature."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Evaluation after and during training."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """Interval and retention of checkpoints."""
    tracking: TrackingConfig = TrackingConfig()
    """Experiment trackers."""
    runtime: RuntimeConfig = RuntimeConfig()
    """Processes, hardware and deadlines."""

    @property
    def folder(self) -> Path:
        """Folder of this run."""
        return self.output / self.name

    @property
    def questions(self) -> QuestionsConfig | None:
        """Questions about images of the user's own; None if the run is about scenes."""
        return self.data if isinstance(self.data, QuestionsConfig) else None

    @property
    def dataset(self) -> str | None:
        """Place of a collected dataset of scenes, if there is one."""
        return self.data if isinstance(self.data, str) else None

    @property
    def stored(self) -> str | None:
        """Second location of this run; None if there is none."""
        return None if self.storage is None else f"{self.storage}/{self.name}"

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, tree: Any) -> Any:
        """Fill in default types; an empty `model` resolves the default path."""
        if not isinstance(tree, dict):
            return tree
        if isinstance(tree.get("data"), dict | QuestionsConfig):
            tree = _about_questions(tree)
        tables = {key: tree[key] for key in DEFAULT_TYPES if isinstance(tree.get(key), dict)}
        typed = {key: {"type": DEFAULT_TYPES[key]} | table for key, table in tables.items()}
        return {"model": {}} | tree | typed

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks to train on: the mixture, or the only one."""
        return self.mixture or (self.task,)

    @model_validator(mode="after")
    def _check_mixture(self) -> "RunConfig":
        if not self.mixture:
            return self
        named = f"mixture is [{', '.join(self.mixture)}]"
        if self.mixture[0] != self.task or len(set(self.mixture)) < len(self.mixture):
            raise ValueError(
                f"{named} and task is {self.task}: begin the mixture with the task, and name none "
                "twice"
            )
        if self.data is not None:
            raise ValueError(f"{named} but data holds one task's scenes: set data=null")
        return self

    @model_validator(mode="after")
    def _check_questions(self) -> "RunConfig":
        if self.questions is None:
            for key, tasks in (("task", self.tasks), ("evaluation.tasks", self.evaluation.tasks)):
                if QUESTIONS in tasks:
                    raise ValueError(f"{key} names {QUESTIONS} but data has none: set data.path")
            return self
        if self.task != QUESTIONS:
            raise ValueError(
                f"task is {self.task} but data holds questions: set task={QUESTIONS}, or data=null"
            )
        if self.auxiliary is not None:
            raise ValueError(
                f"auxiliary.mode is {self.auxiliary.mode} but data holds questions, which have no "
                "physical outcome: set auxiliary=null"
            )
        for name, each in (("algorithm", self.algorithm), ("warm_start", self.warm_start)):
            if isinstance(each, SFTConfig) and each.targets != "ideal":
                raise ValueError(
                    f"{name}.targets is {each.targets} but data holds questions, which have "
                    f"reference answers alone: set {name}.targets=ideal"
                )
        if QUESTIONS in self.evaluation.tasks and "iid" not in self.evaluation.test_sets:
            raise ValueError(
                f"evaluation.test_sets is [{', '.join(self.evaluation.test_sets)}] but questions "
                "have the test set iid alone: name it too, or remove questions from "
                "evaluation.tasks"
            )
        return self

    @model_validator(mode="after")
    def _check_storage(self) -> "RunConfig":
        if self.storage is not None and parse_place(self.storage).bucket is None:
            place = Path(self.storage)
            if place == self.output or place.is_relative_to(self.folder):
                raise ValueError(
                    f"storage is {place}, where the run writes already: name another folder, or "
                    "set storage=null"
                )
        return self

    @field_validator("curriculum", mode="before")
    @classmethod
    def _name_curriculum(cls, value: Any) -> Any:
        """Accept the name that the field calls it by."""
        return "adaptive" if value == "self_play" else value

    @model_validator(mode="after")
    def _check_curriculum(self) -> "RunConfig":
        if self.curriculum == "adaptive":
            if not self.algorithm.uses_rollouts:
                raise ValueError(
                    "curriculum is adaptive but algorithm.type is sft, which samples no "
                    "completions to judge scenes by: set curriculum=uniform"
                )
            if self.data is not None:
                raise ValueError(
                    f"curriculum is adaptive but data is {self.dataset or QUESTIONS}, whose scenes "
                    "or rows are fixed: set data=null or curriculum=uniform"
                )
        return self

    @model_validator(mode="after")
    def _check_steps(self) -> "RunConfig":
        if self.warm_start is not None and self.warm_start.steps == 0:
            raise ValueError("warm_start.steps is 0: set warm_start=null for none")
        if self.algorithm.steps == 0 and self.warm_start is None:
            raise ValueError(
                "algorithm.steps is 0 and warm_start is null: nothing would be trained; set one"
            )
        return self

    @model_validator(mode="after")
    def _check_auxiliary(self) -> "RunConfig":
        auxiliary, algorithm = self.auxiliary, self.algorithm
        if auxiliary is None:
            return self
        if not algorithm.uses_rollouts and algorithm.targets == "outcomes":
            raise ValueError(
                f"auxiliary.mode is {auxiliary.mode} but algorithm.targets is outcomes, which are "
                "predictions already: set auxiliary=null or algorithm.targets=ideal"
            )
        if auxiliary.predicts or not algorithm.uses_rollouts:
            return self
        raise ValueError(
            f"auxiliary.mode is {auxiliary.mode} but algorithm.type is {self.algorithm.type}, "
            "which has no demonstrations: set auxiliary.mode=inline or algorithm.type=sft"
        )

    @model_validator(mode="after")
    def _check_consistency(self) -> "RunConfig":
        if isinstance(self.algorithm, PolicyGradientConfig):
            check_fits(self.algorithm, self.model)
            check_trains(self.reward, self.tasks)
            self._check_reference(self.algorithm)
            self._check_parts(self.algorithm)
            self._check_yoked(self.algorithm)
            if self.dataset is not None and self.algorithm.max_refills:
                raise ValueError(
                    f"data is {self.dataset} and algorithm.max_refills is "
                    f"{self.algorithm.max_refills}, but a dataset has no scenes to refill from: "
                    "set algorithm.max_refills=0"
                )
        if self.model.quantization is not None:
            self._check_quantization()
        by_rewards = isinstance(self.algorithm, PolicyGradientConfig)
        uses_sft = not by_rewards or self.warm_start is not None
        if self.model.lora is not None and self.model.lora.dropout and not uses_sft:
            raise ValueError(
                f"model.lora.dropout is {self.model.lora.dropout:g} but nothing is trained by SFT, "
                "and RL uses no dropout: set model.lora.dropout=0"
            )
        return self

    def _check_reference(self, algorithm: PolicyGradientConfig) -> None:
        if not algorithm.beta or self.runtime.zero_stage != 3:
            return
        if self.model.lora is None or algorithm.sync_every:
            raise ValueError(
                f"algorithm.beta is {algorithm.beta:g} and runtime.zero_stage is 3, which cannot "
                "exchange all weights for a reference, nor sync one: set runtime.zero_stage=2"
            )

    def _check_parts(self, algorithm: PolicyGradientConfig) -> None:
        parts = [*type(self.reward).model_fields, "overlong"]
        parts.remove("type")
        if self.auxiliary is not None:
            parts.append("outcome")
        for name in algorithm.reward_weights:
            if name not in parts:
                raise ValueError(
                    f"algorithm.reward_weights names '{name}', which is not a part of this reward: "
                    f"choose from {', '.join(parts)}"
                )

    def _check_yoked(self, algorithm: PolicyGradientConfig) -> None:
        scenes, tasks = algorithm.prompts_per_step, len(self.tasks)
        if algorithm.reward_source == "yoked" and scenes < 2 * tasks:
            raise ValueError(
                f"algorithm.reward_source is yoked and algorithm.prompts_per_step {scenes}, but "
                "each group needs another one of its task: set algorithm.prompts_per_step="
                f"{2 * tasks} or more"
            )

    def _check_quantization(self) -> None:
        what = f"model.quantization is {self.model.quantization}"
        if not (self.runtime.gpus_per_rank and self.runtime.gpus_per_server):
            raise ValueError(
                f"{what}: needs a GPU with bitsandbytes; set runtime.gpus_per_rank=1 and "
                "runtime.gpus_per_server=1 where there are any, or model.quantization=null"
            )
        if self.runtime.zero_stage == 3:
            raise ValueError(
                f"{what} but runtime.zero_stage is 3, which cannot shard quantized weights: set "
                "runtime.zero_stage=2"
            )


def _about_questions(tree: dict[str, Any]) -> dict[str, Any]:
    """Fill in the task, the reward and the evaluation of a run about questions."""
    filled = {"task": QUESTIONS, "reward": {}, "evaluation": {}} | tree
    reward, evaluation = filled["reward"], filled["evaluation"]
    if isinstance(reward, dict):
        filled["reward"] = {"type": "exact"} | reward
    if isinstance(evaluation, dict):
        filled["evaluation"] = {"tasks": (QUESTIONS,)} | evaluation
    return filled


def check_fits(algorithm: PolicyGradientConfig, model: ModelConfig) -> None:
    """Refuse an algorithm that does not fit the model.

    Raises:
        ValueError: it does not fit.
    """
    if algorithm.beta > 0 and algorithm.reference == "base" and model.lora is None:
        raise ValueError(
            "algorithm.reference is base but model.lora is null: there is no base model under an "
            "adapter; set algorithm.reference=start or model.lora.rank=16"
        )
    if algorithm.sync_every and algorithm.reference == "base":
        raise ValueError(
            f"algorithm.sync_every is {algorithm.sync_every} but algorithm.reference is base, "
            "which never changes: set algorithm.reference=start or algorithm.sync_every=0"
        )
    if algorithm.overlong_cache > model.max_completion_tokens:
        raise ValueError(
            f"algorithm.overlong_cache is {algorithm.overlong_cache} but no completion is longer "
            f"than model.max_completion_tokens = {model.max_completion_tokens}: set it below"
        )
