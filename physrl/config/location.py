"""Locations of files: local folders and buckets."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def absolute_unless_remote(location: str) -> str:
    """Return a folder's absolute path, valid in every process; `s3://...` is returned unchanged.

    Raises:
        ValueError: it is neither a folder nor a bucket, or contains credentials.
    """
    scheme, colon, rest = location.partition("://")
    if not location or (colon and (scheme != "s3" or not rest.strip("/"))):
        raise ValueError(f"is '{location}': name a folder or s3://bucket/prefix")
    if colon and "@" in rest.partition("/")[0]:
        raise ValueError(
            "contains credentials, which would be written to files: set AWS_ACCESS_KEY_ID "
            "and AWS_SECRET_ACCESS_KEY instead, and write s3://bucket/prefix"
        )
    return location.rstrip("/") if colon else str(Path(location).expanduser().absolute())


Location = Annotated[str, AfterValidator(absolute_unless_remote)]
ExpandedPath = Annotated[Path, AfterValidator(Path.expanduser)]
