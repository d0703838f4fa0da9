"""The writer of a run's checkpoints in storage: one process at a time, whole or not at all.

The process that opened the run last owns it, as the object `.writer` records. Files are written
only if they do not exist, so that a process that lost the run cannot replace its successor's, and
the manifest, which makes a checkpoint exist, is written last in the same way.
"""

import json
import os
import socket
from collections.abc import Mapping
from multiprocessing.pool import ThreadPool
from pathlib import Path
from uuid import uuid4

from pydantic_core import from_json

from physrl.errors import CheckpointError, MissingObjectError, StorageError
from physrl.storage.checkpoints import FOLDER
from physrl.storage.manifest import MANIFEST, read_manifest
from physrl.storage.object_store import Entry, ObjectStore
from physrl.storage.retention import kept_steps
from physrl.storage.stored_checkpoints import (
    PARALLEL,
    checkpoint_key,
    list_checkpoints,
    stored_steps,
)
from physrl.types import JSON

OWNER = ".writer"
ATTEMPTS = 3
"""Attempts to write a file while a previous writer may still be writing it."""


class RunTakenError(CheckpointError):
    """Error that another process has taken over the run."""


class LostSnapshotError(CheckpointError):
    """Error that a checkpoint was deleted or damaged locally before its upload."""


class CheckpointWriter:
    """The only writer of the checkpoints of one run.

    Every method raises StorageError where storage cannot be reached or written.

    Args:
        store: the run's store, `<storage>/<name>`.
        keep_last: number of newest checkpoints to keep in storage.
        keep_best: number of checkpoints to keep by their score.
    """

    def __init__(self, store: ObjectStore, keep_last: int, keep_best: int = 0) -> None:
        self._store, self._keep_last, self._keep_best = store, keep_last, keep_best
        self._id = uuid4().hex
        self._owns = False
        self._sent: dict[int, tuple[bytes, set[str]]] = {}
        """Manifest and uploaded files of each step whose upload failed and will be resumed."""

    def take_over(self) -> None:
        """Become the run's writer, the first time, and remove incomplete files of previous ones.

        Raises:
            RunTakenError: another process has taken over the run since.
        """
        if self._owns:
            self._check_owner()
            return
        owner = {"id": self._id, "host": socket.gethostname(), "pid": os.getpid()}
        self._store.put(OWNER, json.dumps(owner).encode())
        self._store.clear_partial(f"{FOLDER}/")
        self._owns = True

    def commit(self, step: int, path: Path) -> None:
        """Upload a checkpoint's folder, unless storage has it already.

        Replaces another checkpoint of the same step, which a resumed run has repeated.

        Raises:
            LostSnapshotError: the folder has no manifest.
            RunTakenError: another process has taken over the run.
        """
        self.take_over()
        try:
            files, manifest = read_manifest(path), (path / MANIFEST).read_bytes()
        except CheckpointError as error:
            raise LostSnapshotError(str(error)) from None
        key, found = checkpoint_key(step), stored_steps(self._store).get(step, {})
        self._check_owner()  # after listing: the files found are not a successor's
        if self._is_stored(key, found, files, manifest):
            return
        sent = self._already_sent(step, manifest) & found.keys()
        for name in sorted(found.keys() - sent, key=lambda name: name != MANIFEST):
            self._store.delete(key + name)
        self._sent[step] = manifest, sent
        with ThreadPool(PARALLEL) as pool:
            missing = sorted(files.keys() - sent)
            for name in pool.imap_unordered(lambda name: self._send(path, key, name), missing):
                sent.add(name)
        self._check_owner()
        created = self._store.create(key + MANIFEST, manifest)
        del self._sent[step]
        # Not created may mean a retry of our own write whose response was lost.
        if not created and self._store.get(key + MANIFEST) != manifest:
            self._check_owner()
            raise StorageError(f"{self._store.location}/{key} was written by another process")

    def prune(self, newest: int) -> None:
        """Delete checkpoints that retention does not keep, and those later than `newest`.

        The later ones are of steps that a resumed run repeats.

        Raises:
            RunTakenError: another process has taken over the run.
        """
        steps = stored_steps(self._store)
        complete = list_checkpoints(self._store) if self._keep_best else []
        scores = {each.step: each.score for each in complete}
        candidates = {
            step: scores.get(step)
            for step, files in steps.items()
            if MANIFEST in files and step <= newest
        }
        kept = kept_steps(candidates, self._keep_last, self._keep_best) | self._sent.keys()
        self._check_owner()
        for step, files in steps.items():
            if step not in kept:
                for name in sorted(files, key=lambda name: name != MANIFEST):
                    self._store.delete(checkpoint_key(step) + name)

    def _is_stored(
        self, key: str, found: Mapping[str, Entry], files: Mapping[str, JSON], manifest: bytes
    ) -> bool:
        sizes = {name: entry["size"] for name, entry in files.items()}
        stored = {name: entry.size for name, entry in found.items() if name != MANIFEST}
        return sizes == stored and MANIFEST in found and self._store.get(key + MANIFEST) == manifest

    def _already_sent(self, step: int, manifest: bytes) -> set[str]:
        last_manifest, sent = self._sent.get(step, (b"", set()))
        return sent if last_manifest == manifest else set()

    def _send(self, path: Path, key: str, name: str) -> str:
        for _ in range(ATTEMPTS):
            if self._store.upload_new(key + name, path / name):
                return name
            self._check_owner()
            self._store.delete(key + name)  # a previous writer's, which has yet to notice us
        raise StorageError(
            f"{self._store.location}/{key}{name} is being written by another process too"
        )

    def _check_owner(self) -> None:
        try:
            owner = dict(from_json(self._store.get(OWNER)))
        except MissingObjectError:
            owner = {}
        except (ValueError, TypeError) as error:
            raise StorageError(f"{self._store.location}/{OWNER} is damaged: delete it") from error
        if owner.get("id") != self._id:
            raise RunTakenError(
                f"another process writes this run in {self._store.location} "
                f"(process {owner.get('pid')} on {owner.get('host')}): stop it and --resume, or "
                "choose another name="
            )
