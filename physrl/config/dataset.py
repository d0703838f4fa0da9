"""Configuration of a dataset that `physrl collect` writes."""

from pydantic import Field, model_validator

from physrl.config.base import Section
from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.config.location import Location
from physrl.config.task import TaskName
from physrl.types import Split

MOST_SHARDS = 99_999
"""Largest number of shards: their names count with five digits."""


class DatasetPlan(Section):
    """The part of a dataset's configuration that determines its bytes."""

    task: TaskName = "place"
    """Name of the task."""
    split: Split = "train"
    """Stream of scenes; training reads `train`."""
    generator: GeneratorName = "iid"
    """Named set of scenes: `iid` is `environment` itself, others differ from it in one respect."""
    scenes: int = Field(2000, ge=1)
    """Number of scenes, from the first of the stream."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    """Random seed of the stream."""
    reasoning: bool = False
    """Ask for a chain of thought between <think> and </think> before the answer."""
    environment: EnvironmentConfig = EnvironmentConfig()
    """Distribution and rendering of scenes."""
    scenes_per_shard: int = Field(100, ge=1)
    """Scenes in a shard: one Parquet file, which one worker writes; kept or rewritten whole."""

    @property
    def shards(self) -> int:
        """Number of Parquet files."""
        return -(-self.scenes // self.scenes_per_shard)

    def indices(self, shard: int) -> range:
        """Return the indices of a shard's scenes; shards count from 0."""
        start = shard * self.scenes_per_shard
        return range(start, min(start + self.scenes_per_shard, self.scenes))

    @model_validator(mode="after")
    def _countable(self) -> "DatasetPlan":
        if self.shards > MOST_SHARDS:
            raise ValueError(
                f"scenes / scenes_per_shard = {self.scenes} / {self.scenes_per_shard} makes "
                f"{self.shards} shards, more than {MOST_SHARDS}: raise scenes_per_shard"
            )
        return self


class CollectConfig(DatasetPlan):
    """A dataset to collect: its content, destination and number of processes."""

    out: Location
    """Destination: a folder, or s3://bucket/prefix."""
    workers: int = Field(2, ge=1)
    """Worker processes, a core and a shard each; the number does not change the bytes."""

    @property
    def plan(self) -> DatasetPlan:
        """The part of this that determines the bytes."""
        return DatasetPlan.model_validate(
            {name: getattr(self, name) for name in DatasetPlan.model_fields}
        )
