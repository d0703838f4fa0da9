"""Writing of datasets: shard by shard, then the manifest."""

from collections.abc import Sequence
from itertools import chain

from physrl.config.dataset import DatasetPlan
from physrl.data.manifest import (
    MANIFEST,
    Manifest,
    Shard,
    describe_shard,
    find_shards,
    make_manifest,
    plan_hash,
    read_manifest,
)
from physrl.data.shards import encode_shard, plan_of
from physrl.errors import DataError, MissingObjectError
from physrl.storage.object_store import open_store
from physrl.types import Prompt, SceneSpec


class DatasetWriter:
    """A writer of one plan's dataset at one location; several writers may work concurrently."""

    def __init__(self, plan: DatasetPlan, location: str) -> None:
        self._plan, self._hash = plan, plan_hash(plan)
        self._store = open_store(location)
        self.location = self._store.location

    def finished(self) -> Manifest | None:
        """Return the manifest if the dataset is complete.

        Raises:
            DataError: the location holds a dataset of another plan.
            StorageError: the location cannot be reached, read or written.
        """
        self._store.check()
        try:
            manifest = read_manifest(self._store.get(MANIFEST), self.location)
        except MissingObjectError:
            return None
        if manifest.plan != self._plan:
            raise self._of_another_plan()
        return manifest

    def existing(self) -> dict[int, str]:
        """List the keys of shards left by earlier runs, by number; they are not yet verified.

        Other versions of pyarrow may leave several files of one number; an intact one is chosen.

        Raises:
            DataError: the location holds other files, or shards of another plan.
        """
        found = self._found()
        for number, keys in found.items():
            if self._first_intact(number, keys):
                break  # one intact shard is enough to know the plan of all
        return {
            number: (len(keys) > 1 and self._first_intact(number, keys)) or keys[0]
            for number, keys in found.items()
        }

    def keep(self, number: int, key: str) -> Shard | None:
        """Verify an existing shard and return its manifest entry, or None if it is damaged.

        Raises:
            DataError: it is intact but belongs to another plan.
        """
        data = self._store.get(key)
        shard = describe_shard(self._plan, number, data)
        if shard.file != key:
            return None
        if plan_of(data) != self._hash:
            raise self._of_another_plan()
        return shard

    def write(self, number: int, scenes: Sequence[SceneSpec], prompts: Sequence[Prompt]) -> Shard:
        """Encode and store a shard."""
        data = encode_shard(scenes, prompts, self._hash)
        shard = describe_shard(self._plan, number, data)
        self._store.put(shard.file, data)
        return shard

    def discard(self, key: str) -> None:
        """Delete a shard."""
        self._store.delete(key)

    def commit(self, shards: Sequence[Shard]) -> Manifest:
        """Write the manifest and delete shards that are not in it.

        Concurrent writers of one plan write the same manifest.

        Raises:
            DataError: another writer has committed another dataset here.
        """
        data = make_manifest(self._plan, list(shards))
        if not self._store.create(MANIFEST, data) and self._store.get(MANIFEST) != data:
            raise self._of_another_plan()
        found = find_shards(self._plan, self._store.keys("data/"))
        for key in set(chain.from_iterable(found.values())) - {shard.file for shard in shards}:
            self.discard(key)
        return read_manifest(data, self.location)

    def _found(self) -> dict[int, list[str]]:
        keys = self._store.keys("data/")
        visible = [key for key in keys if not key.rpartition("/")[2].startswith(".")]
        found = find_shards(self._plan, visible)
        if set(visible) - set(chain.from_iterable(found.values())):
            raise self._of_another_plan()
        return found

    def _first_intact(self, number: int, keys: Sequence[str]) -> str | None:
        return next((key for key in keys if self.keep(number, key)), None)

    def _of_another_plan(self) -> DataError:
        return DataError(
            f"{self.location} already holds data of another configuration or generator: choose "
            "another out=, or delete it"
        )
