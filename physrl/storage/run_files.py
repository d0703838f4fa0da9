"""The files of a run's folder that are stored besides its checkpoints."""

import os
from collections.abc import Iterator
from pathlib import Path

from physrl.storage.checkpoints import FOLDER as CHECKPOINTS
from physrl.storage.object_store import Entry, ObjectStore

CONFIG = "config.yaml"


def run_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """List metrics, event files, rollouts, evaluation and report, each with its key in storage.

    Leaves out hidden files, and nested runs (warm start, SFT), which are stored as runs.
    """
    for place, folders, names in os.walk(folder):
        inside = Path(place)
        if inside != folder and CONFIG in names:
            folders.clear()
            continue
        if inside == folder and CHECKPOINTS in folders:
            folders.remove(CHECKPOINTS)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = inside / name
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path.relative_to(folder).as_posix(), path


class RunFilesUploader:
    """An uploader of a run's files that uploads each again only after it has changed.

    Args:
        folder: the run's folder.
        store: the run's store, `<storage>/<name>`.
    """

    def __init__(self, folder: Path, store: ObjectStore) -> None:
        self._folder, self._store = folder, store
        self._stored: dict[str, Entry] | None = None
        """Objects of earlier processes; None until listed."""
        self._sent: dict[str, tuple[int, int]] = {}
        """Size and modification time of each file when it was uploaded."""

    def upload(self) -> None:
        """Upload the files that are new or have changed.

        Raises:
            StorageError: the storage cannot be reached or written.
        """
        if self._stored is None:
            self._stored = self._store.entries()
        for key, path in run_files(self._folder):
            stat = path.stat()
            if not self._is_uploaded(key, stat, self._stored.get(key)):
                self._store.upload(key, path)
            self._sent[key] = stat.st_size, stat.st_mtime_ns

    def _is_uploaded(self, key: str, stat: os.stat_result, stored: Entry | None) -> bool:
        if key in self._sent:
            return self._sent[key] == (stat.st_size, stat.st_mtime_ns)
        return (
            stored is not None and stored.size == stat.st_size and stat.st_mtime <= stored.modified
        )
