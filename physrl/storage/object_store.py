"""Where objects are kept: bytes under keys, in a local folder or in a bucket (`s3://`).

An object is there whole or not at all, whatever happens to its writer. Keys are relative and
slashes divide them.
"""

import errno
import os
import tempfile
from pathlib import Path
from typing import Protocol

from physrl.errors import MissingObjectError, StorageError

PARTIAL = ".partial-"
S3 = "s3://"


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

    def get(self, key: str) -> bytes:
        """The object.

        Raises:
            MissingObjectError: there is none.
        """
        ...

    def size(self, key: str) -> int | None:
        """How many bytes the object has; None if there is none."""
        ...

    def keys(self, prefix: str = "") -> list[str]:
        """The keys that begin so, sorted."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object, if there is one."""
        ...


def open_store(location: str) -> ObjectStore:
    """The store at a folder's path or at `s3://bucket/prefix`; nothing is touched yet.

    Raises:
        StorageError: the text names no bucket, or the environment's settings are wrong.
    """
    if location.startswith(S3):
        from physrl.storage.s3 import S3Store  # boto3 takes its time

        return S3Store(location)
    return FolderStore(Path(location))


class FolderStore:
    """A local folder: keys are paths of files in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.location = str(folder)

    def check(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            raise self._refused("written", error) from None

    def put(self, key: str, data: bytes) -> None:
        try:
            self._write(key, data).replace(self._folder / key)
        except OSError as error:
            raise self._refused(f"written ({key})", error) from None

    def create(self, key: str, data: bytes) -> bool:
        try:
            partial = self._write(key, data)
            try:
                os.link(partial, self._folder / key)  # unlike a rename, never over another file
            except FileExistsError:
                return False
            finally:
                partial.unlink()
        except OSError as error:
            raise self._refused(f"written ({key})", error) from None
        return True

    def get(self, key: str) -> bytes:
        try:
            return (self._folder / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise MissingObjectError(f"{self._folder / key} does not exist") from None
        except OSError as error:
            raise self._refused(f"read ({key})", error) from None

    def size(self, key: str) -> int | None:
        try:
            return (self._folder / key).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._refused(f"read ({key})", error) from None

    def keys(self, prefix: str = "") -> list[str]:
        folder = self._folder / prefix.rpartition("/")[0]
        files = (path for path in folder.rglob("*") if path.is_file())
        whole = (path for path in files if not path.name.startswith(PARTIAL))
        keys = (path.relative_to(self._folder).as_posix() for path in whole)
        return sorted(key for key in keys if key.startswith(prefix))

    def delete(self, key: str) -> None:
        try:
            (self._folder / key).unlink(missing_ok=True)
        except OSError as error:
            raise self._refused(f"written ({key})", error) from None

    def _write(self, key: str, data: bytes) -> Path:
        """The data on the disk, in a file beside its place that no list shows."""
        folder = (self._folder / key).parent
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=PARTIAL, dir=folder)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(0o644)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return Path(name)

    def _refused(self, what: str, error: OSError) -> StorageError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "free some space, or name a folder on another disk"
        else:
            remedy = "name a folder that you own"
        return StorageError(
            f"folder {self._folder} cannot be {what}: {error.strerror or error}: {remedy}"
        )
