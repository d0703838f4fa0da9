"""Appending to a file whole or not at all."""

import errno
import os
from pathlib import Path


def append(path: Path, data: bytes) -> None:
    """Add to the end of the file; where it does not all fit, leave the file as it was.

    Raises:
        OSError: the disk is full, or the file cannot be written.
    """
    with path.open("ab", buffering=0) as stream:
        end = stream.tell()
        try:
            if stream.write(data) < len(data):  # a full disk takes a part first, without an error
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            stream.truncate(end)
            raise
