"""Atomic appends to files."""

import errno
import os
from pathlib import Path


def append(path: Path, data: bytes) -> None:
    """Append to a file; if not all of it fits, leave the file unchanged.

    Raises:
        OSError: the disk is full, or the file cannot be written.
    """
    with path.open("ab", buffering=0) as stream:
        end = stream.tell()
        try:
            if stream.write(data) < len(data):  # a full disk first writes a part without an error
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            stream.truncate(end)
            raise
