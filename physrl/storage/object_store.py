"""The interface of object stores: bytes under keys, in a local folder or in a bucket (`s3://`).

An object exists whole or not at all, even if its writer is killed. Keys are relative paths with
slashes.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from physrl.config.location import parse_place
from physrl.errors import StorageError

PARTIAL = ".partial-"
"""Prefix of the names of incomplete files."""
Progress = Callable[[int], None]
"""A callback with the number of bytes that have just arrived, called from any thread."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object in a listing."""

    size: int
    """Bytes."""
    modified: float
    """Time of its last write, in seconds since 1970."""


def no_progress(count: int) -> None:
    """Ignore the progress of a download."""


class ObjectStore(Protocol):
    """Bytes under keys.

    Every method raises StorageError where the store cannot be reached, read or written.
    """

    location: str
    """The folder or `s3://bucket/prefix`, for messages."""

    def check(self) -> None:
        """Check that the store exists and is accessible.

        A folder is created if need be and written to; of a bucket one key is listed.
        """
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write an object, replacing any under this key."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless the key exists; return whether it was written.

        Of several concurrent writers one succeeds.
        """
        ...

    def upload(self, key: str, path: Path) -> None:
        """Write a file of any size as an object, up to its present end: it may be growing."""
        ...

    def upload_new(self, key: str, path: Path) -> bool:
        """Write a file as an object unless the key exists; return whether it was written."""
        ...

    def download(self, key: str, path: Path, progress: Progress = no_progress) -> None:
        """Write an object to a file, which appears when it is complete.

        Resumes an interrupted download of the same object where the store supports it.

        Raises:
            MissingObjectError: the key does not exist.
        """
        ...

    def get(self, key: str) -> bytes:
        """Read an object.

        Raises:
            MissingObjectError: the key does not exist.
        """
        ...

    def size(self, key: str) -> int | None:
        """Return an object's size in bytes; None if the key does not exist."""
        ...

    def entries(self, prefix: str = "") -> dict[str, Entry]:
        """List the objects whose keys start with a prefix, sorted by key."""
        ...

    def keys(self, prefix: str = "") -> list[str]:
        """List the keys that start with a prefix, sorted."""
        ...

    def delete(self, key: str) -> None:
        """Delete an object, if it exists."""
        ...

    def clear_partial(self, prefix: str = "") -> None:
        """Remove incomplete objects of killed writers under keys that start with a prefix."""
        ...


def open_store(location: str) -> ObjectStore:
    """Open the store at a place, a folder's path or `s3://bucket/prefix`, without accessing it.

    Raises:
        StorageError: it is not a place, or the environment's settings are invalid.
    """
    try:
        place = parse_place(location)
    except ValueError as error:
        raise StorageError(f"the location {error}") from None
    if place.bucket is not None:
        from physrl.storage.s3 import S3Store  # importing boto3 is slow

        return S3Store(place)
    from physrl.storage.folder_store import FolderStore

    return FolderStore(Path(place.path))


def open_source(path: Path) -> BinaryIO:
    """Open a file to upload.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read: {error.strerror or error}: it is not uploaded"
        ) from None


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn system errors into StorageErrors that name the file being written."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}: {disk_remedy(error)}"
        ) from None


def disk_remedy(error: OSError) -> str:
    """Suggest what to do about a folder that cannot be read or written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space, or choose a folder on another disk"
    return "choose a folder that you own"
