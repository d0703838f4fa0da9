"""An S3 bucket as an object store.

Endpoint, region and credentials are those of the environment or the machine's role, as every AWS
tool reads them; none of them is ever written anywhere, and a pickled store is its location alone.
Uploads carry a SHA-256 that the server checks, downloads are held against the checksum that it
keeps.
"""

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from physrl.errors import MissingObjectError, StorageError
from physrl.storage import s3_transfer as transfer
from physrl.storage.object_store import Entry, Progress

ATTEMPTS = 5
"""Of each request, with exponential waits and jitter between them."""
CONNECT_SECONDS = 5
READ_SECONDS = 60
CHECK_SECONDS = 10
"""How long a server may be silent when it is first asked."""
CHECK_ATTEMPTS = 2
CONNECTIONS = 32
FORBIDDEN = {
    "AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"
}  # fmt: skip
LOST_RACE = "PreconditionFailed"
CONFLICT = "ConditionalRequestConflict"
"""Another conditional write of the key is under way, and may yet fail: nothing is decided."""
_PASSWORD = re.compile(r"(\w+://)?[^\s'\"]*@")
"""What stands before the host of a URL."""


class S3Store:
    """The objects of a bucket whose keys begin with a prefix."""

    def __init__(self, location: str) -> None:
        self._bucket, _, prefix = location.removeprefix("s3://").partition("/")
        prefix = prefix.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self.location = f"s3://{self._bucket}/{prefix}".rstrip("/")
        if not self._bucket:
            raise StorageError(f"{location} names no bucket: write s3://bucket/prefix")
        self._client = self._connect(READ_SECONDS, ATTEMPTS)

    def __reduce__(self) -> tuple[type["S3Store"], tuple[str]]:
        return S3Store, (self.location,)

    def check(self) -> None:
        # Says why it is refused, which HEAD of a bucket does not; and some servers create a
        # missing bucket on the first PUT.
        client = self._connect(CHECK_SECONDS, min(CHECK_ATTEMPTS, ATTEMPTS))
        with self._named("read"):
            client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)

    def put(self, key: str, data: bytes) -> None:
        with self._named(f"written ({key})"):
            transfer.put(self._client, self._bucket, self._prefix + key, data)

    def create(self, key: str, data: bytes) -> bool:
        return self._once(key, partial(transfer.put, data=data))

    def upload(self, key: str, path: Path) -> None:
        with self._named(f"written ({key})"):
            transfer.upload(self._client, self._bucket, self._prefix + key, path)

    def upload_new(self, key: str, path: Path) -> bool:
        return self._once(key, partial(transfer.upload, path=path))

    def download(self, key: str, path: Path, progress: Progress) -> None:
        with self._named(f"read ({key})"):
            transfer.download(self._client, self._bucket, self._prefix + key, path, progress)

    def get(self, key: str) -> bytes:
        with self._named(f"read ({key})"):
            return transfer.read(self._client, Bucket=self._bucket, Key=self._prefix + key)

    def size(self, key: str) -> int | None:
        try:
            with self._named(f"read ({key})"):
                answer = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except MissingObjectError:
            return None
        return int(answer["ContentLength"])

    def entries(self, prefix: str = "") -> dict[str, Entry]:
        with self._named("listed"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            found = {
                one["Key"].removeprefix(self._prefix): Entry(
                    one["Size"], one["LastModified"].timestamp()
                )
                for page in pages
                for one in page.get("Contents", ())
            }
        return dict(sorted(found.items()))

    def keys(self, prefix: str = "") -> list[str]:
        return list(self.entries(prefix))

    def delete(self, key: str) -> None:
        with self._named(f"written ({key})"):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def clear_partial(self, prefix: str = "") -> None:
        with self._named("written"):
            transfer.clear(self._client, self._bucket, self._prefix + prefix)

    def _connect(self, read_seconds: float, attempts: int) -> Any:
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds,
            max_pool_connections=CONNECTIONS,
        )
        with self._named("opened"):
            return boto3.session.Session().client("s3", config=config)

    def _once(self, key: str, write: Callable[..., None]) -> bool:
        """Write under a condition; False where there is an object already."""
        for attempt in range(ATTEMPTS - 1):
            try:
                return self._create(key, write)
            except _ConflictError:
                time.sleep(random.uniform(0, 2**attempt))
        return self._create(key, write)

    def _create(self, key: str, write: Callable[..., None]) -> bool:
        try:
            with self._named(f"written ({key})"):
                write(self._client, self._bucket, self._prefix + key, IfNoneMatch="*")
        except _LostRaceError:
            return False
        return True

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        """Turn what boto3 raises into one line with a remedy."""
        try:
            yield
        except (NoCredentialsError, PartialCredentialsError):
            raise StorageError(
                f"{self.location}: no credentials: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or run where a role gives them"
            ) from None
        except ClientError as error:
            raise self._refused(what, error) from None
        except (ConnectionError, HTTPClientError, IncompleteReadError) as error:
            raise StorageError(
                f"{self.location} cannot be {what}: {self._endpoint} does not answer "
                f"({type(error).__name__}): check the server, the network and AWS_ENDPOINT_URL"
            ) from None
        except ParamValidationError:
            raise StorageError(
                f"{self.location}: '{self._bucket}' is no name of a bucket: write s3://bucket/prefix"
            ) from None
        except BotoCoreError as error:
            raise StorageError(
                f"{self.location} cannot be {what}: {_without_password(str(error))}: "
                "check the AWS_ settings"
            ) from None
        except ValueError as error:  # what boto3 raises for an endpoint that is no URL
            raise StorageError(
                f"{self.location}: {_without_password(str(error))}: set AWS_ENDPOINT_URL to one "
                "such as https://host:9000, or unset it"
            ) from None

    @property
    def _endpoint(self) -> str:
        return _without_password(self._client.meta.endpoint_url)

    def _refused(self, what: str, error: ClientError) -> StorageError:
        code, message = (error.response["Error"].get(key, "") for key in ("Code", "Message"))
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code == "NoSuchBucket":
            return StorageError(
                f"bucket '{self._bucket}' does not exist at {self._endpoint}: create it, or "
                "name one that exists"
            )
        if code == LOST_RACE:
            return _LostRaceError(
                f"{self.location} cannot be {what}: another process is writing it: try again"
            )
        if code == "NoSuchKey" or (status == 404 and what.startswith("read")):
            return MissingObjectError(f"{self.location} cannot be {what}: there is no such object")
        if code in FORBIDDEN or status == 403:
            return StorageError(
                f"{self.location} cannot be {what}: {self._endpoint} refuses these "
                f"credentials ({code}): check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the "
                "role's rights"
            )
        kind = _ConflictError if code == CONFLICT else StorageError
        return kind(
            f"{self.location} cannot be {what}: {self._endpoint} says {code} ({message}): try "
            "again, or check the server"
        )


def _without_password(text: str) -> str:
    return _PASSWORD.sub(r"\1", text)


class _ConflictError(StorageError):
    """Another conditional write is not done yet."""


class _LostRaceError(StorageError):
    """A conditional write found another object."""
