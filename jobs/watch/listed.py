"""A place that is listed once a refresh and only read: all of a page is of one moment."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from physrl.errors import MissingObjectError, StorageError
from physrl.storage.object_store import Entry, ObjectStore

SETTLED_S = 2.0
"""Age from which a folder's time of change tells every later change apart."""
BUCKET_REFRESH_S = 5.0
"""Shortest time between two listings of a bucket."""


class Listed(Protocol):
    """Names of all files at a place at the last refresh, and their bytes."""

    location: str
    problem: str
    """Reason why the last refresh failed, in a line; empty if it did not."""

    def refresh(self) -> None:
        """List the place anew; on failure the last listing stays."""
        ...

    @property
    def folders(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the files in each folder; "" is the place itself."""
        ...

    def entry(self, key: str) -> Entry | None:
        """Return a file's size and time; None if it does not exist."""
        ...

    def path(self, key: str) -> Path | None:
        """Return the path of a file on this machine; None in a bucket."""
        ...

    def get(self, key: str) -> bytes:
        """Read a file.

        Raises:
            StorageError: it cannot be read (MissingObjectError: it does not exist).
        """
        ...

    def tail(self, key: str, size: int) -> bytes:
        """Read at least the last `size` bytes of a file; raises as `get`."""
        ...


@dataclass(frozen=True, slots=True)
class _Scan:
    """A folder's content."""

    modified: float
    """Time of the folder's last change, in seconds since 1970, as below."""
    at: float
    """Time of the scan."""
    names: tuple[str, ...]
    folders: tuple[str, ...]


class ListedFolder:
    """A local folder; only folders that changed since the last refresh are listed again."""

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self.location, self.problem = str(folder), ""
        self._scans: dict[str, _Scan] = {}
        self._folders: dict[str, tuple[str, ...]] = {}

    def refresh(self) -> None:
        found: dict[str, _Scan] = {}
        waiting, self.problem = [""], ""
        while waiting:
            folder = waiting.pop()
            try:
                scan = self._scan(folder)
            except FileNotFoundError:  # deleted since its parent was listed
                if not folder:
                    self.problem = f"{self.location} has been deleted"
                continue
            except OSError as error:
                self.problem = f"{self._root / folder} cannot be read: {error.strerror}"
                continue
            found[folder] = scan
            waiting += [f"{folder}/{name}" if folder else name for name in scan.folders]
        self._scans = found
        self._folders = {folder: scan.names for folder, scan in found.items()}

    @property
    def folders(self) -> Mapping[str, tuple[str, ...]]:
        return self._folders

    def entry(self, key: str) -> Entry | None:
        try:
            stat = (self._root / key).stat()
        except OSError:
            return None
        return Entry(stat.st_size, stat.st_mtime)

    def path(self, key: str) -> Path | None:
        return self._root / key

    def get(self, key: str) -> bytes:
        return self.tail(key, -1)

    def tail(self, key: str, size: int) -> bytes:
        try:
            with (self._root / key).open("rb") as stream:
                if size >= 0:
                    stream.seek(max(0, os.fstat(stream.fileno()).st_size - size))
                return stream.read()
        except (FileNotFoundError, NotADirectoryError):
            raise MissingObjectError(f"{self._root / key} does not exist") from None
        except OSError as error:
            raise StorageError(f"{self._root / key} cannot be read: {error.strerror}") from None

    def _scan(self, folder: str) -> _Scan:
        path = os.path.join(self._root, folder)
        modified, now = os.stat(path).st_mtime, time.time()
        known = self._scans.get(folder)
        if known and known.modified == modified and known.at - modified > SETTLED_S:
            return known
        names: list[str] = []
        folders: list[str] = []
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                (folders if entry.is_dir(follow_symlinks=False) else names).append(entry.name)
        return _Scan(modified, now, tuple(sorted(names)), tuple(sorted(folders)))


class ListedBucket:
    """A prefix in a bucket, listed whole, at most once in `BUCKET_REFRESH_S`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.location, self.problem = store.location, ""
        self._entries: dict[str, Entry] = {}
        self._folders: dict[str, tuple[str, ...]] = {}
        self._listed_at = -BUCKET_REFRESH_S

    def refresh(self) -> None:
        if time.monotonic() - self._listed_at < BUCKET_REFRESH_S:
            return
        try:
            self._entries, self.problem = self._store.entries(), ""
        except StorageError as error:
            self.problem = str(error)
        self._listed_at = time.monotonic()
        names: dict[str, list[str]] = {}
        for key in self._entries:
            folder, _, name = key.rpartition("/")
            if not name.startswith("."):
                names.setdefault(folder, []).append(name)
        self._folders = {folder: tuple(each) for folder, each in names.items()}

    @property
    def folders(self) -> Mapping[str, tuple[str, ...]]:
        return self._folders

    def entry(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def path(self, key: str) -> Path | None:
        return None

    def get(self, key: str) -> bytes:
        return self._store.get(key)

    def tail(self, key: str, size: int) -> bytes:
        return self._store.get(key)
