"""The object store in a local folder."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from physrl.errors import MissingObjectError, StorageError
from physrl.storage.object_store import (
    PARTIAL,
    Entry,
    Progress,
    disk_remedy,
    no_progress,
    open_source,
    writing_to,
)

CHUNK = 2**22
"""Bytes of a file held in memory."""


class FolderStore:
    """An object store whose keys are the paths of files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.location = str(folder)

    def check(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            raise self._error("written", error) from None

    def put(self, key: str, data: bytes) -> None:
        self._put(key, lambda stream: stream.write(data))

    def create(self, key: str, data: bytes) -> bool:
        return self._create(key, lambda stream: stream.write(data))

    def upload(self, key: str, path: Path) -> None:
        with open_source(path) as source:
            self._put(key, lambda stream: _copy(source, stream))

    def upload_new(self, key: str, path: Path) -> bool:
        with open_source(path) as source:
            return self._create(key, lambda stream: _copy(source, stream))

    def download(self, key: str, path: Path, progress: Progress = no_progress) -> None:
        with self._reading(key):
            source = (self._folder / key).open("rb")
        partial = path.with_name(PARTIAL + path.name)
        with source, writing_to(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                _copy(source, stream, progress)
            partial.replace(path)

    def get(self, key: str) -> bytes:
        with self._reading(key):
            return (self._folder / key).read_bytes()

    def size(self, key: str) -> int | None:
        try:
            with self._reading(key):
                return (self._folder / key).stat().st_size
        except MissingObjectError:
            return None

    def entries(self, prefix: str = "") -> dict[str, Entry]:
        found = {}
        for path in self._files(prefix):
            if path.name.startswith(PARTIAL):
                continue
            try:
                stat = path.stat()
            except FileNotFoundError:  # removed since it was listed
                continue
            key = path.relative_to(self._folder).as_posix()
            found[key] = Entry(stat.st_size, stat.st_mtime)
        return dict(sorted(found.items()))

    def keys(self, prefix: str = "") -> list[str]:
        return list(self.entries(prefix))

    def delete(self, key: str) -> None:
        path = self._folder / key
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise self._error(f"written ({key})", error) from None
        for folder in path.relative_to(self._folder).parents[:-1]:
            try:
                (self._folder / folder).rmdir()
            except OSError:  # not empty
                return

    def clear_partial(self, prefix: str = "") -> None:
        try:
            for path in self._files(prefix):
                if path.name.startswith(PARTIAL):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise self._error("written", error) from None

    def _files(self, prefix: str) -> list[Path]:
        folder = self._folder / prefix.rpartition("/")[0]
        files = (path for path in folder.rglob("*") if path.is_file())
        start = self._folder.as_posix().rstrip("/") + "/" + prefix
        return [path for path in files if path.as_posix().startswith(start)]

    def _put(self, key: str, write: Callable[[BinaryIO], object]) -> None:
        try:
            self._write(key, write).replace(self._folder / key)
        except OSError as error:
            raise self._error(f"written ({key})", error) from None

    def _create(self, key: str, write: Callable[[BinaryIO], object]) -> bool:
        try:
            partial = self._write(key, write)
            try:
                os.link(partial, self._folder / key)  # unlike a rename, never replaces a file
            except FileExistsError:
                return False
            finally:
                partial.unlink()
        except OSError as error:
            raise self._error(f"written ({key})", error) from None
        return True

    def _write(self, key: str, write: Callable[[BinaryIO], object]) -> Path:
        """Write the data to the disk, into an unlisted file in the key's folder."""
        handle, name = _open_partial(self._folder / key)
        try:
            with os.fdopen(handle, "wb") as stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(0o644)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return Path(name)

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError):
            raise MissingObjectError(f"{self._folder / key} does not exist") from None
        except OSError as error:
            raise self._error(f"read ({key})", error) from None

    def _error(self, action: str, error: OSError) -> StorageError:
        reason = error.strerror or error
        return StorageError(
            f"folder {self._folder} cannot be {action}: {reason}: {disk_remedy(error)}"
        )


def _open_partial(path: Path) -> tuple[int, str]:
    with suppress(FileNotFoundError):  # another process may remove the folder with its last file
        path.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.mkstemp(prefix=PARTIAL, dir=path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    return tempfile.mkstemp(prefix=PARTIAL, dir=path.parent)


def _copy(source: BinaryIO, stream: BinaryIO, progress: Progress = no_progress) -> None:
    """Copy a file up to its present end."""
    left = os.fstat(source.fileno()).st_size
    while left and (chunk := source.read(min(CHUNK, left))):
        stream.write(chunk)
        left -= len(chunk)
        progress(len(chunk))
