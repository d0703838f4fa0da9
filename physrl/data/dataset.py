"""Reads a collected dataset: scenes, questions and targets, shard by shard, as they are asked for.

Every shard's bytes are held against the manifest before a row of it is used.
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

SHARDS_HELD = 2
"""Shards whose bytes stay in memory."""


class Dataset:
    """The scenes of a dataset in their order."""

    def __init__(self, store: ObjectStore, manifest: Manifest) -> None:
        self.location, self.manifest = store.location, manifest
        self._store = store
        self._ends = list(accumulate(shard.scenes for shard in manifest.shards))
        self._file = lru_cache(maxsize=SHARDS_HELD)(self._open)
        self._rows = lru_cache(maxsize=SHARDS_HELD)(self._read_group)

    def __len__(self) -> int:
        return self.manifest.counts.scenes

    def __getitem__(self, index: int) -> tuple[SceneSpec, Prompt, str]:
        """Scene `index`, its question, and the completion that SFT imitates.

        Raises:
            IndexError: there are fewer scenes.
            DataError: the shard is missing or damaged.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"scene {index} of {len(self)}")
        number = bisect_right(self._ends, index)
        row = index - (self._ends[number - 1] if number else 0)
        file = self._file(number)
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row < rows:
                return decode_row(self._rows(number, group)[row])
            row -= rows
        raise self._damaged(
            self.manifest.shards[number], "it has fewer rows than its manifest says"
        )

    def check(self) -> None:
        """Look at every shard's size, without reading any.

        Raises:
            DataError: one is missing, or shorter or longer than it was.
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
            raise self._damaged(shard, "its hash differs from its manifest's")
        file = pq.ParquetFile(io.BytesIO(data))
        if not file.schema_arrow.equals(SCHEMA):
            raise DataError(
                f"dataset {self.location} has other columns than this version writes: collect anew"
            )
        return file

    def _read_group(self, number: int, group: int) -> list[dict[str, Any]]:
        try:
            rows: list[dict[str, Any]] = self._file(number).read_row_group(group).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(self.manifest.shards[number], str(error)) from None
        return rows

    def _damaged(self, shard: Shard, why: str) -> DataError:
        return DataError(
            f"dataset {self.location} is damaged at {shard.file}: {why}: delete {MANIFEST} and "
            "collect again, which makes what is missing"
        )


def open_dataset(location: str) -> Dataset:
    """The dataset in a folder or at `s3://bucket/prefix`; reads its manifest only.

    Raises:
        DataError: there is none, or it is damaged or of another version.
        StorageError: the place cannot be read.
    """
    store = open_store(location)
    try:
        data = store.get(MANIFEST)
    except MissingObjectError:
        raise DataError(
            f"{store.location} holds no dataset: {MANIFEST} is missing; name another place, or "
            "finish its collection with the command that began it"
        ) from None
    return Dataset(store, read_manifest(data, store.location))


@dataclass(frozen=True, slots=True)
class _Need:
    """What a key of the configuration wants of the dataset that it names."""

    key: str
    location: str
    task: str
    split: Split
    scenes: int
    why: str
    """How many scenes there have to be, and which keys say so."""


def check_data(config: RunConfig) -> None:
    """Refuse a dataset that is not there, is not whole, or does not fit the run.

    Looks at manifests and at shards' sizes.

    Raises:
        DataError: a dataset is missing, incomplete or of another version.
        ConfigError: it has other scenes than the run's, or too few of them; with both values.
        StorageError: its place cannot be read.
    """
    for need in _needs(config):
        dataset = open_dataset(need.location)
        _check_fits(dataset, need, config)
        dataset.check()


def _needs(config: RunConfig) -> Iterator[_Need]:
    if config.data is not None:
        steps, prompts = config.algorithm.steps, config.algorithm.prompts_per_step
        why = f"algorithm.steps x prompts_per_step = {steps} x {prompts} = {steps * prompts}"
        yield _Need("data", config.data, config.task, "train", steps * prompts, why)
    scenes = config.evaluation.scenes
    for task, location in config.evaluation.data.items():
        why = f"evaluation.scenes is {scenes}"
        yield _Need(f"evaluation.data.{task}", location, task, "test", scenes, why)


def _check_fits(dataset: Dataset, need: _Need, config: RunConfig) -> None:
    plan, what = dataset.manifest.plan, f"{need.key} is {dataset.location}"
    theirs, ours = (each.model_dump(mode="json") for each in (plan.environment, config.environment))
    pairs = [
        ("task", plan.task, need.task),
        ("split", plan.split, need.split),
        ("generator", plan.generator, "iid"),
        ("reasoning", plan.reasoning, config.model.reasoning),
        *((f"environment.{name}", theirs[name], ours[name]) for name in ours),
    ]
    for key, has, wants in pairs:
        if has != wants:
            raise ConfigError(
                f"{what}, which was collected with {key}={has}, but the run needs {key}={wants}: "
                "make them equal, or name another dataset"
            )
    if need.scenes > len(dataset):
        raise ConfigError(
            f"{what} of {len(dataset)} scenes, but {need.why}: collect more, or lower it"
        )
