"""The download of a checkpoint from storage, verified against its manifest."""

import shutil
from multiprocessing.pool import ThreadPool
from pathlib import Path

from physrl.errors import CheckpointError, MissingObjectError
from physrl.storage.checkpoints import step_name
from physrl.storage.manifest import MANIFEST, file_entry, parse_manifest, sync_file, sync_folder
from physrl.storage.object_store import PARTIAL, ObjectStore, Progress
from physrl.storage.stored_checkpoints import PARALLEL, StoredCheckpoint
from physrl.types import JSON


def download(
    store: ObjectStore, stored: StoredCheckpoint, parent: Path, progress: Progress
) -> Path:
    """Download a checkpoint into `parent`, and return its folder, which appears when complete.

    Resumes an interrupted download: complete files are kept, and the finished parts of large ones.

    Raises:
        CheckpointError: a file is missing or differs from the manifest.
        StorageError: the storage cannot be read, or the folder cannot be written.
    """
    final = parent / step_name(stored.step)
    partial = parent / f"{PARTIAL}{final.name}"
    if stored.problem:
        raise CheckpointError(_damaged(stored, stored.problem))
    _prepare(partial, stored.files)
    with ThreadPool(PARALLEL) as pool:
        for _ in pool.imap_unordered(
            lambda name: _download_file(store, stored, partial, name, progress), stored.files
        ):
            pass
    manifest = store.get(stored.key + MANIFEST)
    if parse_manifest(manifest, stored.location) != stored.files:
        raise CheckpointError(_damaged(stored, f"{MANIFEST} changed during the download"))
    (partial / MANIFEST).write_bytes(manifest)
    sync_file(partial / MANIFEST)
    sync_folder(partial)
    if final.exists():
        final.rename(parent / f"{PARTIAL}replaced-{final.name}")
    partial.rename(final)
    sync_folder(parent)
    shutil.rmtree(parent / f"{PARTIAL}replaced-{final.name}", ignore_errors=True)
    return final


def _prepare(partial: Path, files: dict[str, JSON]) -> None:
    """Create the folder, or remove what is not an earlier download of this checkpoint.

    Symbolic links are removed: a file would be written wherever they point.
    """
    if partial.is_symlink() or partial.is_file():
        partial.unlink()
    partial.mkdir(parents=True, exist_ok=True)
    for path in sorted(partial.rglob("*")):
        if path.is_symlink():
            path.unlink()
            continue
        name = path.relative_to(partial).as_posix()
        if path.is_file() and name not in files and not path.name.startswith(PARTIAL):
            path.unlink()


def _download_file(
    store: ObjectStore, stored: StoredCheckpoint, partial: Path, name: str, progress: Progress
) -> None:
    """Download and verify one file; retry once if it differs, as a network may corrupt bytes."""
    path, entry = partial / name, stored.files[name]
    if path.is_file() and file_entry(path) == entry:
        progress(entry["size"])
        return
    for retries in (1, 0):
        try:
            store.download(stored.key + name, path, progress)
        except MissingObjectError:
            raise CheckpointError(_damaged(stored, f"{name} is missing")) from None
        if file_entry(path) == entry:
            sync_file(path)
            return
        path.unlink()
        progress(-entry["size"] * retries)
    raise CheckpointError(_damaged(stored, f"{name} differs from its manifest"))


def _damaged(stored: StoredCheckpoint, problem: str) -> str:
    return f"checkpoint {stored.location} is damaged: {problem}: choose another step"
