"""What a collected dataset holds, and where it goes."""

from pydantic import Field, model_validator

from physrl.config.base import Section
from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.config.location import Location
from physrl.config.task import TaskName
from physrl.types import Split

MOST_SHARDS = 99_999
"""What five digits of a shard's name count."""


class DatasetPlan(Section):
    """What decides every byte of a dataset."""

    task: TaskName = "place"
    """Which question is asked."""
    split: Split = "train"
    """Which stream of scenes; training reads `train`."""
    generator: GeneratorName = "iid"
    """Which named set: as `environment` says, or different from it in one respect."""
    scenes: int = Field(2000, ge=1)
    """How many: the stream's first."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    """Of the stream."""
    reasoning: bool = False
    """Ask the model to think between <think> and </think> before it answers."""
    environment: EnvironmentConfig = EnvironmentConfig()
    """Which scenes, and how they are drawn."""
    scenes_per_shard: int = Field(100, ge=1)
    """Scenes in one Parquet file, which is one task's work and is kept or made anew whole."""

    @property
    def shards(self) -> int:
        """How many Parquet files."""
        return -(-self.scenes // self.scenes_per_shard)

    def indices(self, shard: int) -> range:
        """The scenes of a shard; shards count from 0."""
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
    """A dataset to collect: what it holds, where it goes, how many processes make it."""

    out: Location
    """The dataset's folder, or s3://bucket/prefix."""
    workers: int = Field(2, ge=1)
    """Shards made at once, a core each; any number gives the same bytes."""

    @property
    def plan(self) -> DatasetPlan:
        """What of this decides the bytes."""
        return DatasetPlan.model_validate(
            {name: getattr(self, name) for name in DatasetPlan.model_fields}
        )
