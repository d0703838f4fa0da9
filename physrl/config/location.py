"""Where files are kept: a local folder or a bucket."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def absolute_unless_remote(location: str) -> str:
    """A folder's absolute path, which actors find from anywhere; `s3://...` as it is."""
    if location.startswith("s3://"):
        return location.rstrip("/")
    if not location:
        raise ValueError("is empty: name a folder or s3://bucket/prefix")
    return str(Path(location).expanduser().absolute())


Location = Annotated[str, AfterValidator(absolute_unless_remote)]
