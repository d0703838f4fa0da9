"""The mirror of a run in storage, kept up to date by a thread while the run trains.

    checkpoint() -> hard links of its files --+
    sync()       -> "upload changed files" ---+--> thread: small files, then checkpoints, newest
                                                   first, manifests last; then retention

Training waits only for the hard links. A failed upload is retried after a while and with the next
checkpoint, and `wait` raises an error if it has not succeeded by the end.
"""

import logging
import random
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from physrl.config.run import RunConfig
from physrl.errors import PhysRLError, StorageError
from physrl.storage.checkpoint_writer import CheckpointWriter, LostSnapshotError, RunTakenError
from physrl.storage.checkpoints import Checkpoint, Checkpoints, step_name
from physrl.storage.object_store import ObjectStore, open_store
from physrl.storage.retention import kept_steps, score_of
from physrl.storage.run_files import RunFilesUploader
from physrl.storage.snapshots import Snapshots
from physrl.types import Metrics

LONGEST_DELAY_S = 60.0
"""Longest delay between two attempts."""
LONGEST_DELAY_AT_END_S = 1.0
"""Longest delay while `wait` is called."""
CLOSE_SECONDS = 1.0
"""Timeout of the thread's end."""
STORE_SECONDS = 600.0
"""Timeout of `store_files`."""
logger = logging.getLogger(__name__)


def open_mirror(config: RunConfig) -> "RunMirror | None":
    """Open the mirror of an opened run; None where the configuration names no storage.

    Raises:
        StorageError: the environment's settings are invalid.
    """
    if config.stored is None:
        return None
    keep = config.checkpoint
    return RunMirror(config.folder, open_store(config.stored), keep.keep_last, keep.keep_best)


def store_files(config: RunConfig) -> None:
    """Upload what storage lacks, such as a report, or a checkpoint that was not yet uploaded.

    Raises:
        StorageError: the upload failed.
        CheckpointError: another process has taken over the run.
    """
    mirror = open_mirror(config)
    if mirror is not None:
        newest = Checkpoints(config.folder, config.checkpoint.keep_last).latest()
        with mirror:
            if newest is not None:
                mirror.checkpoint(newest)
            mirror.sync()
            mirror.wait(STORE_SECONDS)


class RunMirror:
    """A thread that uploads a run's folder to its place in storage; to be closed at the end.

    Args:
        folder: the run's folder.
        store: the run's store, `<storage>/<name>`.
        keep_last: number of newest checkpoints to keep in storage.
        keep_best: number of checkpoints to keep by their score.
    """

    def __init__(
        self, folder: Path, store: ObjectStore, keep_last: int, keep_best: int = 0
    ) -> None:
        self._folder, self._store = folder, store
        self._keep_last, self._keep_best = keep_last, keep_best
        self._writer = CheckpointWriter(store, keep_last, keep_best)
        self._files = RunFilesUploader(folder, store)
        self._snapshots = Snapshots(folder)
        self._changed = threading.Condition()
        self._pending: dict[int, Checkpoint] = {}
        """Snapshots that are not yet uploaded, by step."""
        self._uploading: int | None = None
        self._newest = 0
        self._syncs_requested = self._syncs_done = 0
        self._failure: Exception | None = None
        self._taken: RunTakenError | None = None
        self._due = self._busy = self._closed = False
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
        """Request the upload of a committed checkpoint and the run's other files.

        Returns at once. A checkpoint that storage has already is not uploaded again; a waiting one
        that retention would not keep is dropped.
        """
        if self._taken is not None:
            return
        snapshot = self._snapshots.take(checkpoint)
        with self._changed:
            if replaced := self._pending.pop(checkpoint.step, None):
                self._snapshots.drop(replaced)
            self._pending[checkpoint.step] = snapshot
            self._newest = max(self._newest, checkpoint.step)
            scores = {step: score_of(each.state) for step, each in self._pending.items()}
            kept = kept_steps(scores, self._keep_last, self._keep_best)
            for step in self._pending.keys() - kept - {self._uploading}:
                self._snapshots.drop(self._pending.pop(step))
        self.sync()

    def sync(self) -> None:
        """Request the upload of the run's other files that are new or have changed."""
        with self._changed:
            self._syncs_requested += 1
            self._due = True
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> None:
        """Wait until everything is uploaded.

        Raises:
            StorageError: something is missing after `timeout_s` seconds; names it and the reason.
            CheckpointError: another process has taken over the run.
        """
        with self._changed:
            self._waiting += 1
            self._due = True
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
        """Count uploaded and waiting checkpoints, failed attempts and seconds spent so far."""
        with self._changed:
            return {
                **{f"storage/{name}": value for name, value in self._counts.items()},
                "storage/pending": float(len(self._pending)),
            }

    def close(self) -> None:
        """Stop the thread; a resumed run uploads what is missing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._snapshots.clear()

    @property
    def _idle(self) -> bool:
        return not (self._pending or self._files_due or self._busy)

    @property
    def _files_due(self) -> bool:
        return self._syncs_done < self._syncs_requested

    def _work(self) -> None:
        failures = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due or self._closed, self._delay(failures))
                if self._closed or self._taken:
                    return
                self._due, self._busy = False, True
            failed = self._attempt()
            failures = failures + 1 if failed else 0
            with self._changed:
                if not failed:
                    self._failure = None
                self._busy = False
                self._changed.notify_all()

    def _delay(self, failures: int) -> float | None:
        """Compute the seconds until the next attempt; None waits for the next request."""
        if not failures:
            return None
        longest = LONGEST_DELAY_AT_END_S if self._waiting else LONGEST_DELAY_S
        return min(2.0 ** min(failures, 10), longest) * random.uniform(0.5, 1)

    def _attempt(self) -> bool:
        """Upload everything that is due; return whether something failed."""
        failed = False
        for upload in (self._upload_files, self._upload_checkpoints):
            start = time.monotonic()
            try:
                upload()
            except RunTakenError as error:
                logger.error("%s", error)
                with self._changed:
                    self._taken = error
                    for checkpoint in self._pending.values():
                        self._snapshots.drop(checkpoint)
                return True
            except (PhysRLError, OSError) as error:
                logger.warning("%s; training continues, and the upload will be retried", error)
                self._failure = error
            except Exception as error:
                # A bug of ours must be logged, and must not stop training either.
                logger.exception("uploading to %s failed", self._store.location)
                self._failure = error
            else:
                continue
            finally:
                self._counts["upload_s"] += time.monotonic() - start
            self._counts["failures"] += 1
            failed = True
        return failed

    def _upload_files(self) -> None:
        requested = self._syncs_requested  # files written from now on belong to the next sync
        if self._syncs_done == requested:
            return
        self._writer.take_over()
        self._files.upload()
        with self._changed:
            self._syncs_done = requested

    def _upload_checkpoints(self) -> None:
        """Upload pending checkpoints, the newest first: it saves the most work of a killed run."""
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
                logger.warning("%s; it is not uploaded to %s", error, self._store.location)
                self._counts["failures"] += 1
            finally:
                with self._changed:
                    self._uploading = None
            with self._changed:
                if self._pending.get(checkpoint.step) is checkpoint:
                    del self._pending[checkpoint.step]
            self._snapshots.drop(checkpoint)

    def _unfinished(self, seconds: float) -> StorageError:
        missing = [step_name(step) for step in sorted(self._pending)]
        if self._files_due or not missing:
            missing.append("some of the run's files")
        reason = f": {self._failure}" if self._failure else f" after {seconds:.0f} seconds"
        return StorageError(
            f"{self._store.location} still lacks {' and '.join(missing)}{reason}; all of it is in "
            f"{self._folder}: the same command with --resume uploads it"
        )
