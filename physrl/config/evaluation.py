"""Configuration of a policy's evaluation."""

from pydantic import Field, field_validator

from physrl.config.base import Section
from physrl.config.location import LocalPath, Location
from physrl.config.task import TASKS, TaskName


class EvaluationConfig(Section):
    """Tasks and scenes of a policy's evaluation."""

    tasks: tuple[TaskName, ...] = ("place", "stability")
    """Tasks to measure, each named once."""
    scenes: int = Field(256, ge=1)
    """Held-out scenes of each task, the same ones for every policy."""
    real_images: LocalPath | None = None
    """Photographs of real towers to measure as well: a folder with labels.csv, or a Parquet
    file."""
    data: dict[TaskName, Location] = Field({})
    """Collected datasets of split `test` by task, whose scenes replace newly drawn ones; each must
    have the run's `environment`."""
    every: int = Field(0, ge=0)
    """Steps between greedy evaluations on validation scenes of the trained task (TRL: eval_steps);
    0: none."""

    @field_validator("tasks")
    @classmethod
    def _each_once(cls, tasks: tuple[TaskName, ...]) -> tuple[TaskName, ...]:
        if not tasks or len(set(tasks)) < len(tasks):
            raise ValueError(
                f"is [{', '.join(tasks)}]: name at least one of {', '.join(TASKS)}, and none twice"
            )
        return tasks
