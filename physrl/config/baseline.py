"""The configuration of a policy without language: PPO with a small convolutional network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from physrl.config.base import Section
from physrl.config.environment import EnvironmentConfig
from physrl.config.load import read_tree, validated
from physrl.config.reward import RewardConfig, SimulatedRewardConfig
from physrl.config.run import CheckpointConfig, EvaluationConfig, ExpandedPath
from physrl.config.task import TaskName, answer_form

Size = Annotated[int, Field(ge=1)]
Convolution = tuple[Size, Size, Size]


class PPOConfig(Section):
    """Proximal policy optimization (Schulman et al. 2017), as RLlib has it."""

    iterations: int = Field(100, ge=1)
    """Batches of episodes, each followed by `epochs` passes over it."""
    episodes: int = Field(512, ge=2)
    """Scenes in a batch."""
    minibatch: int = Field(128, ge=1)
    """Steps of episodes in one optimizer update."""
    epochs: int = Field(6, ge=1)
    """Passes over each batch."""
    lr: float = Field(3e-4, gt=0)
    """Of Adam, constant."""
    clip: float = Field(0.2, gt=0)
    """The probability ratio counts between 1 - this and 1 + this."""
    entropy_coef: float = Field(0.0, ge=0)
    """Weight of the bonus for entropy."""
    max_grad_norm: float = Field(0.5, gt=0)
    """Longer gradients are shortened to this norm."""
    convolutions: tuple[Convolution, ...] = ((16, 8, 4), (32, 4, 2), (64, 3, 2))
    """From the picture on: channels, width of the kernel and stride of each."""
    hidden: tuple[Size, ...] = (128,)
    """Widths of the layers after them."""

    @model_validator(mode="after")
    def _fits(self) -> "PPOConfig":
        if self.minibatch > self.episodes:
            raise ValueError(
                f"has minibatch {self.minibatch} but only {self.episodes} episodes: set "
                "ppo.minibatch below ppo.episodes"
            )
        return self


class BaselineConfig(Section):
    """Everything that decides what the policy without language learns, and where it is kept."""

    name: str = Field("ppo-cnn", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The run's folder inside `output`, and the policy's row in tables."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    """Of scenes, sampling and first weights."""
    output: Annotated[ExpandedPath, AfterValidator(Path.absolute)] = Field(
        Path("runs"), validate_default=True
    )
    """Folder that holds a folder for each run."""
    task: TaskName = "place_x"
    """What is trained on."""
    environment: EnvironmentConfig = EnvironmentConfig()
    """Which scenes."""
    reward: RewardConfig = SimulatedRewardConfig()
    """What an outcome is worth."""
    ppo: PPOConfig = PPOConfig()
    """How it learns."""
    evaluation: EvaluationConfig = EvaluationConfig(tasks=("place_x",))
    """How it is measured; its tasks' answers must have the form of the trained task's."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """What is kept; steps are iterations."""
    workers: int = Field(2, ge=1)
    """Processes that play episodes, a core each."""

    @property
    def folder(self) -> Path:
        """Where this run writes."""
        return self.output / self.name

    @model_validator(mode="after")
    def _asks_what_it_can_answer(self) -> "BaselineConfig":
        form = answer_form(self.task)
        if self.evaluation.real_images is not None and form != "a verdict":
            raise ValueError(
                f"evaluation.real_images is {self.evaluation.real_images}, which is asked for "
                f"verdicts, but a network for {self.task} gives {form}: set "
                "evaluation.real_images=null or task=stability"
            )
        for task in self.evaluation.tasks:
            if (other := answer_form(task)) != form:
                raise ValueError(
                    f"evaluation.tasks names {task}, which is answered with {other}, but a network "
                    f"for {self.task} gives {form}: leave it out"
                )
        return self

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, tree: object) -> object:
        """A reward without a `type` is the simulated one; the trained task is evaluated."""
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
    """The validated configuration of a file and `key.path=value` overrides.

    Raises:
        ConfigError: as `load_config`.
    """
    return validated(BaselineConfig, read_tree(path, overrides))
