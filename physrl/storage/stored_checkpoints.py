"""The checkpoints of a run that lie in storage: which there are, and how they come back."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

from physrl.errors import CheckpointError, MissingObjectError
from physrl.storage.checkpoints import step_name, step_of
from physrl.storage.manifest import (
    MANIFEST,
    STATE,
    describe,
    parse_manifest,
    sync_file,
    sync_folder,
)
from physrl.storage.object_store import PARTIAL, Entry, ObjectStore, Progress
from physrl.storage.retention import best_first, score_of
from physrl.types import JSON

FOLDER = "checkpoints"
PARALLEL = 4
"""Files on their way at once."""


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint in storage, as far as a list of its files tells."""

    step: int
    location: str
    files: dict[str, JSON]
    """The manifest's entries."""
    score: float | None
    problem: str
    """Why it is not whole; empty if nothing is known against it."""

    @property
    def key(self) -> str:
        """How the keys of its files begin."""
        return checkpoint_key(self.step)

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(entry["size"] for entry in self.files.values())


def checkpoint_key(step: int) -> str:
    """How the keys of a checkpoint's files begin."""
    return f"{FOLDER}/{step_name(step)}/"


def stored_steps(store: ObjectStore) -> dict[int, dict[str, Entry]]:
    """The files of each checkpoint by name, oldest checkpoint first, whole or not."""
    found: dict[int, dict[str, Entry]] = {}
    for key, entry in store.entries(f"{FOLDER}/").items():
        _, folder, name = key.split("/", 2) if key.count("/") >= 2 else ("", "", "")
        step = step_of(folder)
        if step is not None and not name.rpartition("/")[2].startswith(PARTIAL):
            found.setdefault(step, {})[name] = entry
    return dict(sorted(found.items()))


def list_checkpoints(store: ObjectStore) -> list[StoredCheckpoint]:
    """All of a run's checkpoints in storage, oldest first.

    Args:
        store: at the run's place, `<storage>/<name>`.

    Raises:
        StorageError: the storage cannot be read.
    """
    with ThreadPool(PARALLEL) as pool:
        return pool.starmap(
            _look, [(store, step, files) for step, files in stored_steps(store).items()], 1
        )


def choose(checkpoints: Sequence[StoredCheckpoint], which: str, location: str) -> StoredCheckpoint:
    """The checkpoint that `latest`, `best` or a step's number names, without looking into it.

    Raises:
        CheckpointError: there is none such.
    """
    complete = {one.step: one for one in checkpoints if one.files}
    if not complete:
        raise CheckpointError(
            f"{location} holds no complete checkpoint: name the folder of a run, such as "
            "s3://bucket/prefix/run"
        )
    steps = ", ".join(str(step) for step in complete)
    if which == "latest":
        return complete[max(complete)]
    if which == "best":
        best = best_first({step: one.score for step, one in complete.items()})
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


def download(
    store: ObjectStore, stored: StoredCheckpoint, parent: Path, progress: Progress
) -> Path:
    """Bring a checkpoint into `parent`, under its own name; it is there once all of it is whole.

    A download that was cut goes on where it stopped: whole files are kept, of large ones the parts.

    Raises:
        CheckpointError: a file is missing or differs from the manifest; names it.
        StorageError: the storage cannot be read, or the folder not be written.
    """
    final = parent / step_name(stored.step)
    partial = parent / f"{PARTIAL}{final.name}"
    if stored.problem:
        raise CheckpointError(_damaged(stored, stored.problem))
    _remove_others(partial, stored.files)
    with ThreadPool(PARALLEL) as pool:
        for _ in pool.imap_unordered(
            lambda name: _bring(store, stored, partial, name, progress), stored.files
        ):
            pass
    manifest = store.get(stored.key + MANIFEST)
    if parse_manifest(manifest, stored.location) != stored.files:
        raise CheckpointError(_damaged(stored, f"{MANIFEST} changed meanwhile"))
    (partial / MANIFEST).write_bytes(manifest)
    sync_file(partial / MANIFEST)
    sync_folder(partial)
    if final.exists():
        final.rename(parent / f"{PARTIAL}replaced-{final.name}")
    partial.rename(final)
    sync_folder(parent)
    shutil.rmtree(parent / f"{PARTIAL}replaced-{final.name}", ignore_errors=True)
    return final


def _look(store: ObjectStore, step: int, found: dict[str, Entry]) -> StoredCheckpoint:
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
        state = json.loads(store.get(checkpoint_key(step) + STATE))
    except (MissingObjectError, ValueError):
        return None
    return score_of(state) if isinstance(state, dict) else None


def _remove_others(partial: Path, files: dict[str, JSON]) -> None:
    """Make the folder; what an earlier download of another content left there is removed."""
    partial.mkdir(parents=True, exist_ok=True)
    for path in partial.rglob("*"):
        name = path.relative_to(partial).as_posix()
        if path.is_file() and name not in files and not path.name.startswith(PARTIAL):
            path.unlink()


def _bring(
    store: ObjectStore, stored: StoredCheckpoint, partial: Path, name: str, progress: Progress
) -> None:
    """One file, verified; bytes that differ are loaded once more, as a network may change them."""
    path, entry = partial / name, stored.files[name]
    if path.is_file() and describe(path) == entry:
        progress(entry["size"])
        return
    for again in (True, False):
        try:
            store.download(stored.key + name, path, progress)
        except MissingObjectError:
            raise CheckpointError(_damaged(stored, f"{name} is missing")) from None
        if describe(path) == entry:
            sync_file(path)
            return
        path.unlink()
        progress(-entry["size"] if again else 0)
    raise CheckpointError(_damaged(stored, f"{name} differs from its manifest"))


def _damaged(stored: StoredCheckpoint, problem: str) -> str:
    return f"checkpoint {stored.location} is damaged: {problem}: choose another step"
