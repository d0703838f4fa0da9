"""Where files are kept: a local folder or a bucket."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def absolute_unless_remote(location: str) -> str:
    """A folder's absolute path, which actors find from anywhere; `s3://...` as it is.

    Raises:
        ValueError: it names neither a folder nor a bucket.
    """
    scheme, colon, rest = location.partition("://")
    if not location or (colon and (scheme != "s3" or not rest.strip("/"))):
        raise ValueError(f"is '{location}': name a folder or s3://bucket/prefix")
    if colon and "@" in rest.partition("/")[0]:
        raise ValueError(
            "holds credentials, which would be written to files: give them as AWS_ACCESS_KEY_ID "
            "and AWS_SECRET_ACCESS_KEY, and write s3://bucket/prefix"
        )
    return location.rstrip("/") if colon else str(Path(location).expanduser().absolute())


Location = Annotated[str, AfterValidator(absolute_unless_remote)]
