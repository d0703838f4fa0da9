"""Brings a run from storage onto a machine, so that it goes on there."""

import logging
import os
from multiprocessing.pool import ThreadPool
from pathlib import Path

from physrl.errors import CheckpointError, MissingObjectError
from physrl.storage.checkpoints import Checkpoint, Checkpoints, only_writer, read_state
from physrl.storage.manifest import stays_inside
from physrl.storage.object_store import Entry, ObjectStore, Progress
from physrl.storage.run_files import CONFIG
from physrl.storage.stored_checkpoints import FOLDER, PARALLEL, download, list_checkpoints

SAME_SECONDS = 1e-3
_logger = logging.getLogger(__name__)


def restore(
    store: ObjectStore, folder: Path, progress: Progress | None = None
) -> Checkpoint | None:
    """Bring a stored run into a folder that is empty or behind it; the checkpoint it goes on from.

    The newest whole checkpoint comes last, once the run's other files are there: a restore that was
    cut is made whole by the next. Damaged checkpoints are passed over with a warning that names the
    file. A folder that holds as new a checkpoint is left as it is. Runs inside the run are restored
    for themselves.

    Args:
        store: at the run's place, `<storage>/<name>`.
        folder: the run's folder.
        progress: is told of the checkpoint's bytes as they arrive.

    Raises:
        StorageError: the storage cannot be read, or the folder not be written.
        CheckpointError: another process is writing to the folder.
    """
    local = Checkpoints(folder, keep_last=1).latest()
    stored = list_checkpoints(store)
    newest = max((one.step for one in stored if one.files), default=-1)
    if local is not None and local.step >= newest:
        return local
    _bring_files(store, folder)
    checkpoints = folder / FOLDER
    checkpoints.mkdir(parents=True, exist_ok=True)
    with only_writer(checkpoints):
        for one in reversed(stored):
            if local is not None and one.step <= local.step:
                break
            try:
                path = download(store, one, checkpoints, progress or _ignore)
            except CheckpointError as error:
                _logger.warning("%s; trying the checkpoint before it", error)
            else:
                return Checkpoint(path, one.step, read_state(path))
    return local


def _bring_files(store: ObjectStore, folder: Path) -> None:
    with ThreadPool(PARALLEL) as pool:
        work = [(store, folder, key, entry) for key, entry in _own(store.entries()).items()]
        pool.starmap(_bring, work, 1)


def _own(entries: dict[str, Entry]) -> dict[str, Entry]:
    """The run's own files: no checkpoints, nothing hidden, no run inside the run."""
    inner = [key.removesuffix(CONFIG) for key in entries if key.endswith(f"/{CONFIG}")]
    left_out = (f"{FOLDER}/", *inner)
    return {
        key: entry
        for key, entry in entries.items()
        if stays_inside(key)
        and not key.startswith(left_out)
        and not any(part.startswith(".") for part in key.split("/"))
    }


def _bring(store: ObjectStore, folder: Path, key: str, entry: Entry) -> None:
    path = folder / key
    if path.is_file():
        stat = path.stat()
        if stat.st_size == entry.size and abs(stat.st_mtime - entry.modified) < SAME_SECONDS:
            return  # by a restore that was cut
    try:
        store.download(key, path, _ignore)
    except MissingObjectError:  # removed since it was listed
        return
    # The time of its upload says that it is in storage as it is here.
    os.utime(path, (entry.modified, entry.modified))


def _ignore(_: int) -> None:
    """Nobody watches."""
