"""Places of files: local folders and object stores, with one parser for every key and command."""

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

S3 = "s3://"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(/*)(.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")
WRITE = "name a folder or s3://bucket/prefix"


@dataclass(frozen=True, slots=True)
class Place:
    """A local folder or a prefix in a bucket; equal places have equal text."""

    bucket: str | None
    """Name of the bucket; None for a local folder."""
    path: str
    """Absolute path of the folder, or the prefix of the keys without slashes at its ends."""

    def __str__(self) -> str:
        return self.path if self.bucket is None else f"{S3}{self.bucket}/{self.path}".rstrip("/")


def parse_place(text: str) -> Place:
    """Parse the text of a place; every spelling of a place gives the same one.

    Raises:
        ValueError: it is not a place, in words that follow its key; never repeats a password.
    """
    text = text.strip()
    if not text or not text.isprintable():
        raise ValueError(f"is {text!r}: {WRITE}")
    if text.startswith("$") or "${" in text:
        raise ValueError(f"is '{text}', in which no variable is replaced: write the path itself")
    scheme = _SCHEME.match(text)
    if scheme is None:
        return Place(None, _absolute(text))
    name, slashes, rest = scheme[1].lower(), scheme[2], scheme[3]
    if "@" in rest.partition("/")[0]:
        raise ValueError(
            "contains credentials, which would be written to files: set AWS_ACCESS_KEY_ID "
            f"and AWS_SECRET_ACCESS_KEY instead, and {WRITE}"
        )
    if name == "file" and len(slashes) >= 2:
        host, _, path = rest.partition("/") if slashes == "//" else ("", "", rest)
        if host in ("", "localhost"):
            return Place(None, _absolute(f"/{path}"))
    if name != "s3" or slashes != "//":
        meant = f"name {S3}{rest}" if name == "s3" and rest else WRITE
        raise ValueError(f"is '{text}': {meant}" + ("" if slashes else f", or ./{text}"))
    return _in_bucket(text, rest)


def parse_folder(text: str | Path) -> Path:
    """Parse the text of a local folder or file into an absolute path.

    Raises:
        ValueError: it is not a place, or one in a bucket.
    """
    place = parse_place(str(text))
    if place.bucket is not None:
        raise ValueError(
            f"is '{place}', but has to be on this machine: name a folder (storage= keeps a copy of "
            "a run in a bucket)"
        )
    return Path(place.path)


def _in_bucket(text: str, rest: str) -> Place:
    bucket, _, prefix = rest.partition("/")
    parts = [part for part in prefix.split("/") if part not in ("", ".")]
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"is '{text}': '{bucket}' is not the name of a bucket; {WRITE}")
    if ".." in parts or re.search(r"[?#\\]", prefix):
        raise ValueError(f"is '{text}': a prefix has neither '..' nor any of ? # \\")
    # One spelling for letters that Unicode can compose in two ways.
    return Place(bucket, unicodedata.normalize("NFC", "/".join(parts)))


def _absolute(text: str) -> str:
    try:
        path = Path(text).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"is '{text}': there is no such user; write the path itself") from None
    if ".." in path.parts:
        path = path.resolve()  # the parent of a link is not the folder before it
    return re.sub("^/+", "/", os.fspath(path))


Location = Annotated[str, AfterValidator(lambda text: str(parse_place(text)))]
"""A folder or `s3://bucket/prefix`."""
LocalPath = Annotated[Path, BeforeValidator(lambda text: str(parse_folder(text)))]
"""A folder or file on this machine."""
