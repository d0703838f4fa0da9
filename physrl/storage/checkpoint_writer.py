"""Writes a run's checkpoints into storage: by one process at a time, whole or not at all.

The process that opened the run last owns it, by the object `.writer`. Files are written with a
condition, so that a process that lost the run cannot replace what its successor wrote, and the
manifest comes last, with a condition too: it is what makes the checkpoint exist.
"""

import json
import os
import socket
from collections.abc import Mapping
from multiprocessing.pool import ThreadPool
from pathlib import Path
from uuid import uuid4

from physrl.errors import CheckpointError, MissingObjectError, StorageError
from physrl.storage.manifest import MANIFEST, read_manifest
from physrl.storage.object_store import Entry, ObjectStore
from physrl.storage.retention import kept
from physrl.storage.stored_checkpoints import (
    FOLDER,
    PARALLEL,
    checkpoint_key,
    list_checkpoints,
    stored_steps,
)
from physrl.types import JSON

OWNER = ".writer"
REPLACEMENTS = 3


class RunTakenError(CheckpointError):
    """Another process has opened the run since."""


class LostSnapshotError(CheckpointError):
    """What was to be uploaded is no longer whole on the local disk."""


class CheckpointWriter:
    """One process's right to write the checkpoints of one run.

    Args:
        store: at the run's place, `<storage>/<name>`.
        keep_last: how many of the newest stay in storage.
        keep_best: how many stay by their score.
    """

    def __init__(self, store: ObjectStore, keep_last: int, keep_best: int = 0) -> None:
        self._store, self._keep_last, self._keep_best = store, keep_last, keep_best
        self._id = uuid4().hex
        self._owns = False
        self._sent: dict[int, tuple[bytes, set[str]]] = {}
        """Manifest and files already there of steps whose upload failed: it goes on from them."""

    def own(self) -> None:
        """Take the run over, the first time, and remove what writers before left half written.

        Raises:
            RunTakenError: another process has taken it over since.
            StorageError: as all methods do, where storage cannot be reached or written.
        """
        if self._owns:
            self._check_owner()
            return
        who = {"id": self._id, "host": socket.gethostname(), "pid": os.getpid()}
        self._store.put(OWNER, json.dumps(who).encode())
        self._store.clear_partial(f"{FOLDER}/")
        self._owns = True

    def commit(self, step: int, path: Path) -> None:
        """Make a checkpoint's folder exist in storage; nothing is done where it already does.

        Another checkpoint of the same step is replaced: the run has gone back behind it.

        Raises:
            LostSnapshotError: the folder has no manifest.
            RunTakenError: another process has opened the run since.
        """
        self.own()
        try:
            files, manifest = read_manifest(path), (path / MANIFEST).read_bytes()
        except CheckpointError as error:
            raise LostSnapshotError(str(error)) from None
        key, found = checkpoint_key(step), stored_steps(self._store).get(step, {})
        self._check_owner()  # after the look: what was seen there is no successor's
        if self._is_there(key, found, files, manifest):
            return
        sent = self._already_sent(step, manifest) & found.keys()
        for name in sorted(found.keys() - sent, key=lambda name: name != MANIFEST):
            self._store.delete(key + name)
        self._sent[step] = manifest, sent
        with ThreadPool(PARALLEL) as pool:
            left = sorted(files.keys() - sent)
            for name in pool.imap_unordered(lambda name: self._send(path, key, name), left):
                sent.add(name)
        self._check_owner()
        created = self._store.create(key + MANIFEST, manifest)
        del self._sent[step]
        # The answer to our own writing may have been lost, and its repetition refused.
        if not created and self._store.get(key + MANIFEST) != manifest:
            self._check_owner()
            raise StorageError(f"{self._store.location}/{key} was written by another process")

    def prune(self, newest: int) -> None:
        """Remove checkpoints that need not stay, and those later than `newest`.

        The run has gone back behind the latter.

        Raises:
            RunTakenError: another process has opened the run since.
        """
        steps = stored_steps(self._store)
        complete = list_checkpoints(self._store) if self._keep_best else []
        measured = {one.step: one.score for one in complete}
        scores = {step: measured.get(step) for step, files in steps.items() if MANIFEST in files}
        past = {step: score for step, score in scores.items() if step <= newest}
        stay = kept(past, self._keep_last, self._keep_best) | self._sent.keys()
        self._check_owner()
        for step, files in steps.items():
            if step not in stay:
                for name in sorted(files, key=lambda name: name != MANIFEST):
                    self._store.delete(checkpoint_key(step) + name)

    def _is_there(
        self, key: str, found: Mapping[str, Entry], files: Mapping[str, JSON], manifest: bytes
    ) -> bool:
        sizes = {name: entry["size"] for name, entry in files.items()}
        there = {name: entry.size for name, entry in found.items() if name != MANIFEST}
        return sizes == there and MANIFEST in found and self._store.get(key + MANIFEST) == manifest

    def _already_sent(self, step: int, manifest: bytes) -> set[str]:
        sent_of, sent = self._sent.get(step, (b"", set()))
        return sent if sent_of == manifest else set()

    def _send(self, path: Path, key: str, name: str) -> str:
        for _ in range(REPLACEMENTS):
            if self._store.upload_new(key + name, path / name):
                return name
            self._check_owner()
            self._store.delete(key + name)  # of a predecessor that has yet to notice us
        raise StorageError(f"{self._store.location}/{key}{name} is written by another process too")

    def _check_owner(self) -> None:
        try:
            owner = json.loads(self._store.get(OWNER))
        except MissingObjectError:
            owner = {}
        except ValueError as error:
            raise StorageError(f"{self._store.location}/{OWNER} is damaged: delete it") from error
        if owner.get("id") != self._id:
            raise RunTakenError(
                f"another process writes this run in {self._store.location} "
                f"(process {owner.get('pid')} on {owner.get('host')}): end it and --resume, or "
                "use another name="
            )
