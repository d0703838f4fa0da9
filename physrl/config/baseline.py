"""Configuration of the policy without language: PPO with a small convolutional network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from physrl.config.base import Section
from physrl.config.checkpoint import CheckpointConfig
from physrl.config.environment import EnvironmentConfig
from physrl.config.evaluation import EvaluationConfig
from physrl.config.load import read_tree, validated
from physrl.config.location import LocalPath
from physrl.config.reward import RewardConfig, SimulatedRewardConfig, check_trains
from physrl.config.task import TaskName, answer_form

Size = Annotated[int, Field(ge=1)]
Convolution = tuple[Size, Size, Size]


class PPOConfig(Section):
    """Proximal policy optimization (Schulman et al. 2017), by RLlib."""

    iterations: int = Field(100, ge=1)
    """Training iterations: a batch of episodes and `epochs` passes over it."""
    episodes: int = Field(512, ge=2)
    """Episodes in a batch, a scene each."""
    minibatch: int = Field(128, ge=1)
    """Environment steps in one optimizer update."""
    epochs: int = Field(6, ge=1)
    """Passes over each batch."""
    lr: float = Field(3e-4, gt=0)
    """Learning rate of Adam, constant."""
    clip: float = Field(0.2, gt=0)
    """Clip range of the probability ratio: 1 - this to 1 + this."""
    entropy_coef: float = Field(0.0, ge=0)
    """Weight of the entropy bonus."""
    max_grad_norm: float = Field(0.5, gt=0)
    """Gradient clipping: largest global norm of the gradient."""
    convolutions: tuple[Convolution, ...] = ((16, 8, 4), (32, 4, 2), (64, 3, 2))
    """Channels, kernel size and stride of each convolution, from the image on."""
    hidden: tuple[Size, ...] = (128,)
    """Widths of the fully connected layers after the convolutions."""

    @model_validator(mode="after")
    def _check_minibatch(self) -> "PPOConfig":
        if self.minibatch > self.episodes:
            raise ValueError(
                f"has minibatch {self.minibatch} but only {self.episodes} episodes: set "
                "ppo.minibatch below ppo.episodes"
            )
        return self


class BaselineConfig(Section):
    """Everything that determines the training of the policy without language."""

    name: str = Field("ppo-cnn", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the run: its folder inside `output`, and the policy's row in tables."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    """Random seed of scenes, sampling and initial weights."""
    output: LocalPath = Field(Path("runs"), validate_default=True)
    """Folder of all runs."""
    task: TaskName = "place_x"
    """Task to train on."""
    environment: EnvironmentConfig = EnvironmentConfig()
    """Distribution and rendering of scenes."""
    reward: RewardConfig = SimulatedRewardConfig()
    """Reward of a rollout."""
    ppo: PPOConfig = PPOConfig()
    """Hyperparameters of PPO."""
    evaluation: EvaluationConfig = EvaluationConfig(tasks=("place_x",))
    """Evaluation; only tasks with answers of the trained task's form can be measured."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """Checkpoints; steps are iterations."""
    workers: int = Field(2, ge=1)
    """Rollout workers, a core each."""

    @property
    def folder(self) -> Path:
        """Folder of this run."""
        return self.output / self.name

    @model_validator(mode="after")
    def _check_task(self) -> "BaselineConfig":
        check_trains(self.reward, [self.task])
        form = answer_form(self.task)
        if self.evaluation.real_images is not None and form != "a verdict":
            raise ValueError(
                f"evaluation.real_images is {self.evaluation.real_images}, which needs "
                f"verdicts, but a network for {self.task} gives {form}: set "
                "evaluation.real_images=null or task=stability"
            )
        if self.evaluation.data:
            raise ValueError(
                "evaluation.data names datasets, but a network is measured on drawn scenes: set "
                "evaluation.data={}"
            )
        for task in self.evaluation.tasks:
            if (other := answer_form(task)) != form:
                raise ValueError(
                    f"evaluation.tasks names {task}, whose answers are {other}, but a network "
                    f"for {self.task} gives {form}: remove it"
                )
        return self

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, tree: object) -> object:
        """Fill in the default reward type, and evaluate the trained task by default."""
        if not isinstance(tree, dict):
            return tree
        reward, evaluation = tree.get("reward", {}), tree.get("evaluation", {})
        if isinstance(reward, dict):
            tree = tree | {"reward": {"type": "simulated"} | reward}
        if isinstance(evaluation, dict):
            own = {"tasks": [tree.get("task", "place_x")]}
            tree = tree | {"evaluation": own | evaluation}
        return tree


def load_baseline_config(path: Path | None, overrides: Sequence[str] = ()) -> BaselineConfig:
    """Load and validate the configuration of a file and `key.path=value` overrides.

    Raises:
        ConfigError: as `load_config`.
    """
    return validated(BaselineConfig, read_tree(path, overrides))
