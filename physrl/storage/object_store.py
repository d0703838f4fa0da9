"""Where objects are kept: bytes under keys, in a local folder or in a bucket (`s3://`).

An object is there whole or not at all, whatever happens to its writer. Keys are relative and
slashes divide them.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from physrl.errors import StorageError

S3 = "s3://"
PARTIAL = ".partial-"
"""How the name of a file begins that is not whole yet."""
FULL = (errno.ENOSPC, errno.EDQUOT)
Progress = Callable[[int], None]
"""Is told of bytes as they arrive, from any thread."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a list says of an object: bytes, and when it was written in seconds since 1970."""

    size: int
    modified: float


class ObjectStore(Protocol):
    """Bytes under keys."""

    location: str
    """The folder or `s3://bucket/prefix`, for people."""

    def check(self) -> None:
        """Find out early whether the place is there and open to us.

        A folder is made if need be and tried; of a bucket one name is listed.

        Raises:
            StorageError: as all methods do, where storage cannot be reached, read or written.
        """
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write an object, in the place of any other under this key."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Write an object if there is none under this key; False where there is one.

        Of several writers at the same time one gets True.
        """
        ...

    def upload(self, key: str, path: Path) -> None:
        """Write a file of any size as an object, as long as it is now: it may be growing."""
        ...

    def upload_new(self, key: str, path: Path) -> bool:
        """Write a file as an object if there is none under this key; False where there is one."""
        ...

    def download(self, key: str, path: Path, progress: Progress) -> None:
        """Write an object to a file, which is there once all of it is.

        What a download that was cut left beside the file is not loaded again.

        Raises:
            MissingObjectError: there is none.
        """
        ...

    def get(self, key: str) -> bytes:
        """The object.

        Raises:
            MissingObjectError: there is none.
        """
        ...

    def size(self, key: str) -> int | None:
        """How many bytes the object has; None if there is none."""
        ...

    def entries(self, prefix: str = "") -> dict[str, Entry]:
        """The objects whose keys begin so, in the keys' order."""
        ...

    def keys(self, prefix: str = "") -> list[str]:
        """The keys that begin so, sorted."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object, if there is one."""
        ...

    def clear_partial(self, prefix: str = "") -> None:
        """Remove what writers that died left half written under keys that begin so."""
        ...


def open_store(location: str) -> ObjectStore:
    """The store at a folder's path or at `s3://bucket/prefix`; nothing is touched yet.

    Raises:
        StorageError: the text names no bucket, or the environment's settings are wrong.
    """
    if location.startswith(S3):
        from physrl.storage.s3 import S3Store  # boto3 takes its time

        return S3Store(location)
    from physrl.storage.folder_store import FolderStore

    return FolderStore(Path(location))


def open_source(path: Path) -> BinaryIO:
    """A file that is to be uploaded.

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
    """Name the file that is being downloaded when its disk is full or forbidden."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            remedy = "free some space, or name a folder on another disk"
        else:
            remedy = "name a folder that you own"
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}: {remedy}"
        ) from None
