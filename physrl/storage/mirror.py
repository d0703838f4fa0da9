"""Keeps a run in storage while it runs, from a thread of its own.

    checkpoint() -> hard links of its files --+
    sync()       -> "look at the folder" -----+--> thread: small files, then checkpoints, the newest
                                                   first, manifests last; then older ones removed

Training waits for the hard links alone. What fails stays to be done, is tried again after a while
and with the next checkpoint, and is told of by `wait` if it has not come to storage by the end.
"""

import logging
import os
import random
import shutil
import threading
import time
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from physrl.config.run import RunConfig
from physrl.errors import PhysRLError, StorageError
from physrl.storage.checkpoint_writer import CheckpointWriter, LostSnapshotError, RunTakenError
from physrl.storage.checkpoints import Checkpoint, Checkpoints, step_name
from physrl.storage.object_store import Entry, ObjectStore, open_store
from physrl.storage.retention import kept, score_of
from physrl.storage.run_files import run_files
from physrl.types import Metrics

SNAPSHOTS = ".uploading"
LONGEST_SECONDS = 60.0
"""Between two tries."""
LONGEST_SECONDS_AT_END = 1.0
"""While somebody waits."""
CLOSE_SECONDS = 1.0
LAST_SECONDS = 600.0
logger = logging.getLogger(__name__)


def open_mirror(config: RunConfig) -> "RunMirror | None":
    """The mirror of an opened run; None where the configuration names no storage.

    Raises:
        StorageError: the environment's settings are wrong.
    """
    if config.stored is None:
        return None
    keep = config.checkpoint
    return RunMirror(config.folder, open_store(config.stored), keep.keep_last, keep.keep_best)


def store_files(config: RunConfig) -> None:
    """Bring into storage what is not there yet: a report, or a checkpoint that had no time to.

    Raises:
        StorageError: it does not get there.
        CheckpointError: another process has opened the run since.
    """
    mirror = open_mirror(config)
    if mirror is not None:
        newest = Checkpoints(config.folder, config.checkpoint.keep_last).latest()
        with mirror:
            if newest is not None:
                mirror.checkpoint(newest)
            mirror.sync()
            mirror.wait(LAST_SECONDS)


class RunMirror:
    """Brings a run's folder to its place in storage; one a run, closed at the end.

    Args:
        folder: the run's folder.
        store: at the run's place, `<storage>/<name>`.
        keep_last: how many of the newest checkpoints stay in storage.
        keep_best: how many stay by their score.
    """

    def __init__(
        self, folder: Path, store: ObjectStore, keep_last: int, keep_best: int = 0
    ) -> None:
        self._folder, self._store = folder, store
        self._keep_last, self._keep_best = keep_last, keep_best
        self._writer = CheckpointWriter(store, keep_last, keep_best)
        self._snapshots, self._numbers = folder / SNAPSHOTS, count()
        shutil.rmtree(self._snapshots, ignore_errors=True)
        self._changed = threading.Condition()
        self._pending: dict[int, Checkpoint] = {}
        """Checkpoints that are not in storage, at their snapshots."""
        self._uploading: int | None = None
        self._newest = 0
        self._syncs_asked = self._syncs_done = 0
        self._known: dict[str, Entry] | None = None
        self._sent: dict[str, tuple[int, int]] = {}
        self._failure: Exception | None = None
        self._taken: RunTakenError | None = None
        self._again = self._busy = self._closed = False
        self._waiting = 0
        self._counts: Metrics = dict.fromkeys(("uploads", "failures", "upload_s"), 0.0)
        self._thread = threading.Thread(target=self._work, name="storage", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Have a committed checkpoint uploaded, and the run's other files; returns at once.

        Nothing is uploaded again that is there already. Checkpoints that wait and would no longer
        stay give way to newer ones.
        """
        if self._taken is not None:
            return
        snapshot = Checkpoint(self._snapshot(checkpoint.path), checkpoint.step, checkpoint.state)
        with self._changed:
            if replaced := self._pending.pop(checkpoint.step, None):
                self._drop(replaced)
            self._pending[checkpoint.step] = snapshot
            self._newest = max(self._newest, checkpoint.step)
            scores = {step: score_of(one.state) for step, one in self._pending.items()}
            stay = kept(scores, self._keep_last, self._keep_best)
            for step in self._pending.keys() - stay - {self._uploading}:
                self._drop(self._pending.pop(step))
        self.sync()

    def sync(self) -> None:
        """Have the run's other files uploaded: those that are new or have grown."""
        with self._changed:
            self._syncs_asked += 1
            self._again = True
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> None:
        """Return once all is in storage.

        Raises:
            StorageError: something is not there after `timeout_s` seconds; names it, and why.
            CheckpointError: another process has opened the run since.
        """
        with self._changed:
            self._waiting += 1
            self._again = True
            self._changed.notify_all()
            try:
                done = self._changed.wait_for(lambda: self._taken or self._idle, timeout_s)
            finally:
                self._waiting -= 1
            if self._taken is not None:
                raise self._taken
            if not done:
                raise self._unfinished(timeout_s)

    def metrics(self) -> Metrics:
        """How many checkpoints were uploaded, are waiting, and how many tries failed so far."""
        with self._changed:
            return {
                **{f"storage/{name}": value for name, value in self._counts.items()},
                "storage/pending": float(len(self._pending)),
            }

    def close(self) -> None:
        """End the thread; what has not come to storage is left for a resumed run."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():
            shutil.rmtree(self._snapshots, ignore_errors=True)

    @property
    def _idle(self) -> bool:
        return not (self._pending or self._files_due or self._busy)

    @property
    def _files_due(self) -> bool:
        return self._syncs_done < self._syncs_asked

    def _work(self) -> None:
        failures = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._again or self._closed, self._delay(failures))
                if self._closed or self._taken:
                    return
                self._again, self._busy = False, True
            failed = self._try()
            failures = failures + 1 if failed else 0
            with self._changed:
                if not failed:
                    self._failure = None
                self._busy = False
                self._changed.notify_all()

    def _delay(self, failures: int) -> float | None:
        """Seconds until the next try, after so many in a row that failed; None: when told to."""
        if not failures:
            return None
        longest = LONGEST_SECONDS_AT_END if self._waiting else LONGEST_SECONDS
        return min(2.0 ** min(failures, 10), longest) * random.uniform(0.5, 1)

    def _try(self) -> bool:
        """Upload what is due; whether something failed."""
        failed = False
        for upload in (self._upload_files, self._upload_checkpoints):
            began = time.monotonic()
            try:
                upload()
            except RunTakenError as error:
                logger.error("%s", error)
                with self._changed:
                    self._taken = error
                    for checkpoint in self._pending.values():
                        self._drop(checkpoint)
                return True
            except (PhysRLError, OSError) as error:
                logger.warning("%s; training goes on, it is tried again", error)
                self._failure = error
            except Exception as error:
                # A fault of ours must be seen, and must not end training either.
                logger.exception("uploading to %s failed", self._store.location)
                self._failure = error
            else:
                continue
            finally:
                self._counts["upload_s"] += time.monotonic() - began
            self._counts["failures"] += 1
            failed = True
        return failed

    def _upload_files(self) -> None:
        asked = self._syncs_asked  # what is written meanwhile is of the next sync
        if self._syncs_done == asked:
            return
        self._writer.own()
        if self._known is None:
            self._known = self._store.entries()
        for key, path in run_files(self._folder):
            stat = path.stat()
            if not self._is_there(key, stat):
                self._store.upload(key, path)
            self._sent[key] = stat.st_size, stat.st_mtime_ns
        with self._changed:
            self._syncs_done = asked

    def _is_there(self, key: str, stat: os.stat_result) -> bool:
        """Whether it was sent, now or, as size and time say, by an earlier process."""
        if key in self._sent:
            return self._sent[key] == (stat.st_size, stat.st_mtime_ns)
        known = (self._known or {}).get(key)
        return known is not None and known.size == stat.st_size and stat.st_mtime <= known.modified

    def _upload_checkpoints(self) -> None:
        """The newest first: it is what a run that dies now would miss most."""
        while True:
            with self._changed:
                if not self._pending:
                    return
                self._uploading = max(self._pending)
                checkpoint = self._pending[self._uploading]
            try:
                self._writer.commit(checkpoint.step, checkpoint.path)
                self._writer.prune(self._newest)
                self._counts["uploads"] += 1
            except LostSnapshotError as error:
                logger.warning("%s; it will not come to %s", error, self._store.location)
                self._counts["failures"] += 1
            finally:
                with self._changed:
                    self._uploading = None
            with self._changed:
                if self._pending.get(checkpoint.step) is checkpoint:
                    del self._pending[checkpoint.step]
            self._drop(checkpoint)

    def _snapshot(self, path: Path) -> Path:
        """The checkpoint's files under second names, which outlive its deletion."""
        snapshot = self._snapshots / str(next(self._numbers)) / path.name
        try:
            shutil.copytree(path, snapshot, copy_function=_link)
        except OSError as error:  # such as a full disk: better from where it lies than not at all
            logger.warning("%s cannot be kept for its upload: %s", path, error)
            return path
        return snapshot

    def _drop(self, checkpoint: Checkpoint) -> None:
        if checkpoint.path.is_relative_to(self._snapshots):
            shutil.rmtree(checkpoint.path.parent, ignore_errors=True)

    def _unfinished(self, seconds: float) -> StorageError:
        missing = [step_name(step) for step in sorted(self._pending)]
        if self._files_due or not missing:
            missing.append("some of the run's files")
        reason = f": {self._failure}" if self._failure else f" after {seconds:.0f} seconds"
        return StorageError(
            f"{self._store.location} still lacks {' and '.join(missing)}{reason}; all of it lies "
            f"in {self._folder}: the same command with --resume uploads it"
        )


def _link(source: str, target: str) -> None:
    """A hard link; a copy on file systems that have none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
