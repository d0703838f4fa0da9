"""Lazy reading of collected datasets, shard by shard.

The hash of a shard is checked against the manifest before any row of it is used.
"""

import hashlib
import io
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from physrl.config.run import RunConfig
from physrl.data.manifest import MANIFEST, Manifest, Shard, read_manifest
from physrl.data.shards import SCHEMA, decode_row
from physrl.errors import ConfigError, DataError, MissingObjectError
from physrl.storage.object_store import ObjectStore, open_store
from physrl.types import Prompt, SceneSpec, Split

CACHED_SHARDS = 2
"""Number of shards whose bytes stay in memory."""


class Dataset:
    """A sequence of the scenes of a dataset, with prompts and targets."""

    def __init__(self, store: ObjectStore, manifest: Manifest) -> None:
        self.location, self.manifest = store.location, manifest
        self._store = store
        self._ends = list(accumulate(shard.scenes for shard in manifest.shards))
        self._file = lru_cache(maxsize=CACHED_SHARDS)(self._open)
        self._rows = lru_cache(maxsize=CACHED_SHARDS)(self._read_group)

    def __len__(self) -> int:
        return self.manifest.counts.scenes

    def __getitem__(self, index: int) -> tuple[SceneSpec, Prompt, str]:
        """Return scene `index`, its prompt, and the target completion for SFT.

        Raises:
            IndexError: the index is out of range.
            DataError: the shard is missing or damaged.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"scene index {index} is out of range: there are {len(self)}")
        number = bisect_right(self._ends, index)
        row = index - (self._ends[number - 1] if number else 0)
        file = self._file(number)
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row < rows:
                return decode_row(self._rows(number, group)[row])
            row -= rows
        raise self._damaged(self.manifest.shards[number], "it has fewer rows than in the manifest")

    def check(self) -> None:
        """Check the size of every shard without reading it.

        Raises:
            DataError: a shard is missing or has another size.
        """
        for shard in self.manifest.shards:
            size = self._store.size(shard.file)
            if size is None:
                raise self._damaged(shard, "it is missing")
            if size != shard.bytes:
                raise self._damaged(shard, f"it has {size} bytes instead of {shard.bytes}")

    def _open(self, number: int) -> Any:
        shard = self.manifest.shards[number]
        try:
            data = self._store.get(shard.file)
        except MissingObjectError:
            raise self._damaged(shard, "it is missing") from None
        if hashlib.sha256(data).hexdigest() != shard.sha256:
            raise self._damaged(shard, "its hash differs from the manifest's")
        file = pq.ParquetFile(io.BytesIO(data))
        if not file.schema_arrow.equals(SCHEMA):
            raise DataError(
                f"dataset {self.location} has other columns than this version: collect it again"
            )
        return file

    def _read_group(self, number: int, group: int) -> list[dict[str, Any]]:
        try:
            rows: list[dict[str, Any]] = self._file(number).read_row_group(group).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(self.manifest.shards[number], str(error)) from None
        return rows

    def _damaged(self, shard: Shard, reason: str) -> DataError:
        return DataError(
            f"dataset {self.location} is damaged at {shard.file}: {reason}: delete {MANIFEST} and "
            "collect again, which restores damaged shards"
        )


def open_dataset(location: str) -> Dataset:
    """Open a dataset in a folder or at `s3://bucket/prefix`; reads only the manifest.

    Raises:
        DataError: there is no dataset, or it is damaged or of another version.
        StorageError: the location cannot be read.
    """
    store = open_store(location)
    try:
        data = store.get(MANIFEST)
    except MissingObjectError:
        raise DataError(
            f"{store.location} holds no dataset: {MANIFEST} is missing; give another location, or "
            "finish collecting with the same command"
        ) from None
    return Dataset(store, read_manifest(data, store.location))


@dataclass(frozen=True, slots=True)
class _Requirement:
    """The dataset that a key of the configuration requires."""

    key: str
    location: str
    task: str
    split: Split
    scenes: int
    reason: str
    """Configuration keys and values that require this number of scenes."""


def check_data(config: RunConfig) -> None:
    """Check that all datasets of a run exist, are complete and match the run.

    Reads manifests and the sizes of shards only.

    Raises:
        DataError: a dataset is missing, incomplete or of another version.
        ConfigError: a dataset has other settings than the run, or too few scenes.
        StorageError: a location cannot be read.
    """
    for requirement in _requirements(config):
        dataset = open_dataset(requirement.location)
        _check_match(dataset, requirement, config)
        dataset.check()


def _requirements(config: RunConfig) -> Iterator[_Requirement]:
    if config.dataset is not None:
        algorithm = config.algorithm
        steps, prompts = algorithm.steps, algorithm.prompts_per_step
        reason = f"algorithm.steps x prompts_per_step = {steps} x {prompts} = {steps * prompts}"
        if not algorithm.uses_rollouts:
            steps = algorithm.steps_per_epoch
            reason = f"each of algorithm.epochs needs {steps} x {prompts} = {steps * prompts}"
        yield _Requirement("data", config.dataset, config.task, "train", steps * prompts, reason)
    scenes = config.evaluation.scenes
    for task, location in config.evaluation.data.items():
        reason = f"evaluation.scenes is {scenes}"
        yield _Requirement(f"evaluation.data.{task}", location, task, "test", scenes, reason)


def _check_match(dataset: Dataset, requirement: _Requirement, config: RunConfig) -> None:
    plan, source = dataset.manifest.plan, f"{requirement.key} is {dataset.location}"
    collected, required = (
        environment.model_dump(mode="json")
        for environment in (plan.environment, config.environment)
    )
    settings = [
        ("task", plan.task, requirement.task),
        ("split", plan.split, requirement.split),
        ("generator", plan.generator, "iid"),
        ("reasoning", plan.reasoning, config.model.reasoning),
        *((f"environment.{name}", collected[name], required[name]) for name in required),
    ]
    if plan.generator != "iid" and requirement.split == "test":
        raise ConfigError(
            f"{source}, which was collected with generator={plan.generator}: its scenes need no "
            f"dataset, set evaluation.test_sets=[iid,{plan.generator}] instead"
        )
    for key, actual, expected in settings:
        if actual != expected:
            raise ConfigError(
                f"{source}, which was collected with {key}={actual}, but the run needs "
                f"{key}={expected}: make them equal, or use another dataset"
            )
    if requirement.scenes > len(dataset):
        raise ConfigError(
            f"{source} with {len(dataset)} scenes, but {requirement.reason}: collect more scenes, "
            f"or {_remedy(len(dataset), requirement, config)}"
        )


def _remedy(scenes: int, requirement: _Requirement, config: RunConfig) -> str:
    """Say how a run gets by with the scenes that there are."""
    algorithm = config.algorithm
    if requirement.key != "data" or algorithm.uses_rollouts:
        return "lower it"
    per_epoch = scenes // algorithm.prompts_per_step
    if not per_epoch:
        return f"lower algorithm.prompts_per_step to {scenes} at most"
    times = "once" if algorithm.epochs == 1 else f"{algorithm.epochs} times"
    return (
        f"set algorithm.steps={per_epoch * algorithm.epochs}, which sees each of them {times}; "
        "algorithm.epochs says how often"
    )
