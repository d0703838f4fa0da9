"""The object store in an S3 bucket.

Endpoint, region and credentials come from the environment or the machine's role, as in every AWS
tool; none of them is ever written, and a pickled store is its location alone. Uploads carry a
SHA-256 that the server verifies, and downloads are verified against the server's checksum.
"""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.utils import parse_timestamp

from physrl.config.location import Place
from physrl.errors import MissingObjectError
from physrl.storage import s3_transfer as transfer
from physrl.storage.object_store import Entry, Progress, no_progress
from physrl.storage.passwords import without_password
from physrl.storage.s3_errors import ConflictError, LostRaceError, S3Errors

ATTEMPTS = 5
"""Attempts of each request, with exponential backoff and jitter."""
CONNECT_SECONDS = 5
READ_SECONDS = 60
CHECK_SECONDS = 10
"""Read timeout of `check`."""
CHECK_ATTEMPTS = 2
CONNECTIONS = 32


class S3Store:
    """An object store whose keys are those of a bucket under a prefix."""

    def __init__(self, place: Place) -> None:
        assert place.bucket is not None  # `open_store` chooses
        self._place, self._bucket = place, place.bucket
        self._prefix = f"{place.path}/" if place.path else ""
        self.location = str(place)
        self._errors = S3Errors(self.location, self._bucket)
        self._client = self._connect(READ_SECONDS, ATTEMPTS)
        self._errors.endpoint = without_password(self._client.meta.endpoint_url)

    def __reduce__(self) -> tuple[type["S3Store"], tuple[Place]]:
        return S3Store, (self._place,)

    def check(self) -> None:
        # Unlike HEAD of a bucket, a list says why it is refused; and some servers create a
        # missing bucket on the first PUT.
        client = self._connect(CHECK_SECONDS, min(CHECK_ATTEMPTS, ATTEMPTS))
        with self._errors.translated("read"):
            client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)

    def put(self, key: str, data: bytes) -> None:
        with self._errors.translated(f"written ({key})"):
            transfer.put(self._client, self._bucket, self._prefix + key, data)

    def create(self, key: str, data: bytes) -> bool:
        return self._write_new(key, partial(transfer.put, data=data))

    def upload(self, key: str, path: Path) -> None:
        with self._errors.translated(f"written ({key})"):
            transfer.upload(self._client, self._bucket, self._prefix + key, path)

    def upload_new(self, key: str, path: Path) -> bool:
        return self._write_new(key, partial(transfer.upload, path=path))

    def download(self, key: str, path: Path, progress: Progress = no_progress) -> None:
        with self._errors.translated(f"read ({key})"):
            transfer.download(self._client, self._bucket, self._prefix + key, path, progress)

    def get(self, key: str) -> bytes:
        with self._errors.translated(f"read ({key})"):
            return transfer.read(self._client, Bucket=self._bucket, Key=self._prefix + key)

    def size(self, key: str) -> int | None:
        try:
            with self._errors.translated(f"read ({key})"):
                head = transfer.head(self._client, self._bucket, self._prefix + key)
        except MissingObjectError:
            return None
        return int(head["ContentLength"])

    def entries(self, prefix: str = "") -> dict[str, Entry]:
        with self._errors.translated("listed"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            found = {
                each["Key"].removeprefix(self._prefix): Entry(
                    each["Size"], each["LastModified"].timestamp()
                )
                for page in pages
                for each in page.get("Contents", ())
            }
        return dict(sorted(found.items()))

    def keys(self, prefix: str = "") -> list[str]:
        return list(self.entries(prefix))

    def delete(self, key: str) -> None:
        with self._errors.translated(f"written ({key})"):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def clear_partial(self, prefix: str = "") -> None:
        with self._errors.translated("written"):
            transfer.clear(self._client, self._bucket, self._prefix + prefix)

    def _connect(self, read_seconds: float, attempts: int) -> Any:
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds,
            max_pool_connections=CONNECTIONS,
        )
        with self._errors.translated("opened"):
            session = botocore.session.get_session()
            factory = session.get_component("response_parser_factory")
            factory.set_parser_defaults(timestamp_parser=parse_time)
            return boto3.session.Session(botocore_session=session).client("s3", config=config)

    def _write_new(self, key: str, write: Callable[..., None]) -> bool:
        """Write unless the key exists, with retries while another process's write is undecided."""
        for attempt in range(ATTEMPTS):
            try:
                with self._errors.translated(f"written ({key})"):
                    write(self._client, self._bucket, self._prefix + key, IfNoneMatch="*")
                return True
            except LostRaceError:
                return False
            except ConflictError:
                if attempt + 1 == ATTEMPTS:
                    raise
                time.sleep(random.uniform(0, 2**attempt))
        raise AssertionError("the last attempt returns or raises")


def parse_time(value: Any) -> datetime:
    """Parse a time in a response as botocore does, which takes most of a listing to try formats."""
    with suppress(ValueError, TypeError):
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is not None:
            return parsed
    guessed: datetime = parse_timestamp(value)
    return guessed
