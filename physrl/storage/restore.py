"""The restoration of a run from storage, to resume it on another machine."""

import logging
import os
from multiprocessing.pool import ThreadPool
from pathlib import Path

from physrl.errors import CheckpointError, MissingObjectError
from physrl.storage.checkpoint_download import download
from physrl.storage.checkpoints import FOLDER, Checkpoint, Checkpoints, only_writer, read_state
from physrl.storage.manifest import stays_inside
from physrl.storage.object_store import Entry, ObjectStore, Progress, no_progress
from physrl.storage.run_files import CONFIG
from physrl.storage.stored_checkpoints import PARALLEL, list_checkpoints

SAME_SECONDS = 1e-3
"""Tolerance with which two modification times count as equal."""
_logger = logging.getLogger(__name__)


def restore(
    store: ObjectStore, folder: Path, progress: Progress = no_progress
) -> Checkpoint | None:
    """Download a stored run into a folder that is empty or older, and return its checkpoint.

    Downloads the newest complete checkpoint last, after the run's other files, so that an
    interrupted restoration is completed by the next. Logs a warning for each damaged checkpoint
    that it skips. A folder with a checkpoint as new is left unchanged. Nested runs are restored
    by themselves.

    Args:
        store: the run's store, `<storage>/<name>`.
        folder: the run's folder.
        progress: called with the checkpoint's bytes as they arrive.

    Raises:
        StorageError: the storage cannot be read, or the folder cannot be written.
        CheckpointError: another process is writing to the folder.
    """
    local = Checkpoints(folder, keep_last=1).latest()
    stored = list_checkpoints(store)
    newest = max((each.step for each in stored if each.files), default=-1)
    if local is not None and local.step >= newest:
        return local
    files = [(store, folder, key, entry) for key, entry in _own_files(store.entries()).items()]
    with ThreadPool(PARALLEL) as pool:
        pool.starmap(_download_file, files, 1)
    checkpoints = folder / FOLDER
    checkpoints.mkdir(parents=True, exist_ok=True)
    with only_writer(checkpoints):
        for each in reversed(stored):
            if local is not None and each.step <= local.step:
                break
            try:
                path = download(store, each, checkpoints, progress)
            except CheckpointError as error:
                _logger.warning("%s; trying the previous checkpoint", error)
            else:
                return Checkpoint(path, each.step, read_state(path))
    return local


def _own_files(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Select the run's own files: no checkpoints, hidden files or nested runs."""
    nested = [key.removesuffix(CONFIG) for key in entries if key.endswith(f"/{CONFIG}")]
    excluded = (f"{FOLDER}/", *nested)
    return {
        key: entry
        for key, entry in entries.items()
        if stays_inside(key)
        and not key.startswith(excluded)
        and not any(part.startswith(".") for part in key.split("/"))
    }


def _download_file(store: ObjectStore, folder: Path, key: str, entry: Entry) -> None:
    path = folder / key
    if path.is_file():
        stat = path.stat()
        if stat.st_size == entry.size and abs(stat.st_mtime - entry.modified) < SAME_SECONDS:
            return  # downloaded before an interruption
    try:
        store.download(key, path)
    except MissingObjectError:  # deleted since it was listed
        return
    # The upload's time marks the file as identical to the stored one.
    os.utime(path, (entry.modified, entry.modified))
