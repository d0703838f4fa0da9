"""A small dataset and ways to write and damage it."""

from pathlib import Path

from physrl.config.dataset import DatasetPlan
from physrl.data.dataset_writer import DatasetWriter
from physrl.data.manifest import Shard
from physrl.environments.renderer import Renderer
from physrl.scene_source import SceneSource, prepare

PLAN = DatasetPlan(scenes=10, scenes_per_shard=4)


def write_shards(plan: DatasetPlan, folder: Path, renderer: Renderer) -> list[Shard]:
    """Write all shards of a dataset, without a manifest."""
    writer = DatasetWriter(plan, str(folder))
    source = SceneSource(plan.task, plan.environment, plan.seed, plan.split, plan.reasoning)
    return [
        writer.write(number, *prepare(source, plan.indices(number), renderer))
        for number in range(plan.shards)
    ]


def write_dataset(plan: DatasetPlan, folder: Path, renderer: Renderer) -> list[Shard]:
    """Write a complete dataset."""
    shards = write_shards(plan, folder, renderer)
    DatasetWriter(plan, str(folder)).commit(shards)
    return shards


def shard_file(folder: Path, number: int) -> Path:
    """Find a shard of `PLAN`."""
    (path,) = folder.glob(f"data/train-{number:05d}-of-00003-*.parquet")
    return path


def flip_bit(folder: Path) -> None:
    """Flip a bit of shard 1."""
    path = shard_file(folder, 1)
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(bytes(data))
