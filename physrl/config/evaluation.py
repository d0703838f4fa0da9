"""Configuration of a policy's evaluation."""

from typing import get_args

from pydantic import Field, field_validator, model_validator

from physrl.config.base import Section
from physrl.config.environment import GeneratorName, TestSet
from physrl.config.location import LocalPath, Location
from physrl.config.task import TASKS, AnyTaskName, TaskName


class EvaluationConfig(Section):
    """Tasks and scenes of a policy's evaluation."""

    tasks: tuple[AnyTaskName, ...] = ("place", "stability")
    """Tasks to measure, each named once; [questions] where `data` holds questions."""
    test_sets: tuple[TestSet, ...] = ("iid",)
    """Test sets: held-out scenes like those of training (`iid`), or different in one respect;
    `real`: photographs, with the question of `stability`, which `real_images` alone adds too."""
    scenes: int = Field(256, ge=1)
    """Held-out scenes of each task and test set, the same ones for every policy."""
    real_images: LocalPath | None = None
    """Photographs of real towers to measure as well: a folder with labels.csv, a Parquet file, or
    images of others (docs/datasets.md)."""
    data: dict[TaskName, Location] = Field({})
    """Collected datasets of split `test` by task, whose scenes replace newly drawn ones; each must
    have the run's `environment`."""
    every: int = Field(0, ge=0)
    """Steps between greedy evaluations on validation scenes of the trained task (TRL: eval_steps);
    0: none."""

    @field_validator("tasks")
    @classmethod
    def _each_once(cls, tasks: tuple[str, ...]) -> tuple[str, ...]:
        if not tasks or len(set(tasks)) < len(tasks):
            raise ValueError(
                f"is [{', '.join(tasks)}]: name at least one of {', '.join(TASKS)}, and none twice"
            )
        return tasks

    @field_validator("test_sets")
    @classmethod
    def _each_set_once(cls, test_sets: tuple[TestSet, ...]) -> tuple[TestSet, ...]:
        if not test_sets or len(set(test_sets)) < len(test_sets):
            raise ValueError(
                f"is [{', '.join(test_sets)}]: name at least one of "
                f"{', '.join((*get_args(GeneratorName), 'real'))}, and none twice"
            )
        return test_sets

    @model_validator(mode="after")
    def _check_photographs(self) -> "EvaluationConfig":
        if "real" in self.test_sets and self.real_images is None:
            raise ValueError(
                "has test set 'real' but no real_images: set evaluation.real_images to the "
                "photographs' folder, or remove 'real'"
            )
        return self

    @property
    def generators(self) -> tuple[GeneratorName, ...]:
        """The test sets of scenes, without the photographs."""
        return tuple(name for name in self.test_sets if name != "real")
