"""The list of a run's checkpoints in storage."""

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool

from pydantic_core import from_json

from physrl.errors import CheckpointError, MissingObjectError
from physrl.storage.checkpoints import FOLDER, step_name, step_of
from physrl.storage.manifest import MANIFEST, STATE, parse_manifest
from physrl.storage.object_store import PARTIAL, Entry, ObjectStore
from physrl.storage.retention import best_first, score_of
from physrl.types import JSON

PARALLEL = 4
"""Concurrent transfers of files."""


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint in storage, as its manifest and the list of its files describe it."""

    step: int
    location: str
    files: dict[str, JSON]
    """Entries of its manifest by file name; empty without a readable manifest."""
    score: float | None
    problem: str
    """Reason why it is incomplete; empty if none is known."""

    @property
    def key(self) -> str:
        """Prefix of the keys of its files."""
        return checkpoint_key(self.step)

    @property
    def size(self) -> int:
        """Total bytes of its files."""
        return sum(entry["size"] for entry in self.files.values())


def checkpoint_key(step: int) -> str:
    """Return the prefix of the keys of a checkpoint's files."""
    return f"{FOLDER}/{step_name(step)}/"


def stored_steps(store: ObjectStore) -> dict[int, dict[str, Entry]]:
    """List the files of each checkpoint by name, complete or not, oldest checkpoint first."""
    found: dict[int, dict[str, Entry]] = {}
    for key, entry in store.entries(f"{FOLDER}/").items():
        _, folder, name = key.split("/", 2) if key.count("/") >= 2 else ("", "", "")
        step = step_of(folder)
        if step is not None and not name.rpartition("/")[2].startswith(PARTIAL):
            found.setdefault(step, {})[name] = entry
    return dict(sorted(found.items()))


def list_checkpoints(store: ObjectStore) -> list[StoredCheckpoint]:
    """List a run's checkpoints in storage, oldest first.

    Args:
        store: the run's store, `<storage>/<name>`.

    Raises:
        StorageError: the storage cannot be read.
    """
    work = [(store, step, files) for step, files in stored_steps(store).items()]
    with ThreadPool(PARALLEL) as pool:
        return pool.starmap(_inspect, work, 1)


def choose(checkpoints: Sequence[StoredCheckpoint], which: str, location: str) -> StoredCheckpoint:
    """Choose the checkpoint that `latest`, `best` or a step's number names.

    Raises:
        CheckpointError: no checkpoint with a manifest matches.
    """
    complete = {each.step: each for each in checkpoints if each.files}
    if not complete:
        raise CheckpointError(
            f"{location} holds no complete checkpoint: name a run's folder, or "
            "s3://bucket/prefix/run"
        )
    steps = ", ".join(str(step) for step in complete)
    if which == "latest":
        return complete[max(complete)]
    if which == "best":
        best = best_first({step: each.score for step, each in complete.items()})
        if not best:
            raise CheckpointError(
                f"no checkpoint in {location} has a score: choose --step latest, or one of {steps}"
            )
        return complete[best[0]]
    if not which.isdecimal():
        raise CheckpointError(f"--step is '{which}': choose latest, best, or one of {steps}")
    if int(which) not in complete:
        raise CheckpointError(
            f"{location} holds no complete checkpoint of step {which}: choose latest, best, or one "
            f"of {steps}"
        )
    return complete[int(which)]


def _inspect(store: ObjectStore, step: int, found: dict[str, Entry]) -> StoredCheckpoint:
    location = f"{store.location}/{checkpoint_key(step)}".rstrip("/")
    try:
        files = parse_manifest(store.get(checkpoint_key(step) + MANIFEST), location)
    except MissingObjectError:
        return StoredCheckpoint(step, location, {}, None, f"{MANIFEST} is missing")
    except CheckpointError:
        return StoredCheckpoint(step, location, {}, None, f"{MANIFEST} cannot be read")
    return StoredCheckpoint(step, location, files, _score(store, step), _problem(files, found))


def _problem(files: dict[str, JSON], found: dict[str, Entry]) -> str:
    for name, entry in files.items():
        if name not in found:
            return f"{name} is missing"
        if found[name].size != entry["size"]:
            return f"{name} has {found[name].size} bytes, not {entry['size']}"
    return ""


def _score(store: ObjectStore, step: int) -> float | None:
    try:
        state = from_json(store.get(checkpoint_key(step) + STATE), allow_inf_nan=False)
    except (MissingObjectError, ValueError):
        return None
    return score_of(state) if isinstance(state, dict) else None
