"""An object store that is only read, under a folder of a listed place."""

from collections import OrderedDict
from pathlib import Path
from typing import NoReturn

from jobs.watch.listed import Listed
from physrl.errors import StorageError
from physrl.storage.object_store import Entry, Progress, no_progress

SMALL, KEPT = 2**12, 4096
"""Largest object that is kept once it was read, in bytes, and the number of those kept."""


class ListedStore:
    """An object store whose keys are those at the last refresh; what would write is refused."""

    def __init__(self, listed: Listed, folder: str) -> None:
        self.listed, self.folder = listed, folder
        self._prefix = f"{folder}/" if folder else ""
        self.location = f"{listed.location}/{folder}".rstrip("/")
        self._kept: OrderedDict[str, tuple[Entry, bytes]] = OrderedDict()

    def get(self, key: str) -> bytes:
        entry = self.listed.entry(self._prefix + key)
        known = self._kept.get(key)
        if known and known[0] == entry:
            return known[1]
        data = self.listed.get(self._prefix + key)
        if entry and len(data) <= SMALL:
            self._kept[key] = (entry, data)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return data

    def tail(self, key: str, size: int) -> bytes:
        """Read at least the last `size` bytes of an object."""
        return self.listed.tail(self._prefix + key, size)

    def path(self, key: str) -> Path | None:
        """Return the path of an object that is a file on this machine; None of others."""
        return self.listed.path(self._prefix + key)

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the names of the files in a folder, without those in its folders."""
        return self.listed.folders.get(self._prefix + folder, ())

    def entry(self, key: str) -> Entry | None:
        """Return an object's size and time; None if it does not exist."""
        return self.listed.entry(self._prefix + key)

    def size(self, key: str) -> int | None:
        entry = self.entry(key)
        return None if entry is None else entry.size

    def entries(self, prefix: str = "") -> dict[str, Entry]:
        found = {key: self.entry(key) for key in self.keys(prefix)}
        return {key: entry for key, entry in found.items() if entry is not None}

    def keys(self, prefix: str = "") -> list[str]:
        whole = self._prefix + prefix
        inside = whole.rpartition("/")[0]
        found = []
        for folder, names in self._folders_in(inside):
            start = f"{folder}/" if folder else ""
            found += [
                (start + name)[len(self._prefix) :]
                for name in names
                if (start + name).startswith(whole)
            ]
        return sorted(found)

    def _folders_in(self, inside: str) -> list[tuple[str, tuple[str, ...]]]:
        start = f"{inside}/" if inside else ""
        return [
            (folder, names)
            for folder, names in self.listed.folders.items()
            if folder == inside or folder.startswith(start)
        ]

    def download(self, key: str, path: Path, progress: Progress = no_progress) -> None:
        path.write_bytes(self.get(key))

    def check(self) -> None:
        """Do nothing: the place is listed already."""

    def put(self, key: str, data: bytes) -> None:
        self._refuse(key)

    def create(self, key: str, data: bytes) -> bool:
        self._refuse(key)

    def upload(self, key: str, path: Path) -> None:
        self._refuse(key)

    def upload_new(self, key: str, path: Path) -> bool:
        self._refuse(key)

    def delete(self, key: str) -> None:
        self._refuse(key)

    def clear_partial(self, prefix: str = "") -> None:
        self._refuse(prefix)

    def _refuse(self, key: str) -> NoReturn:
        raise StorageError(f"{self.location}/{key} is not written: the place is only read")
