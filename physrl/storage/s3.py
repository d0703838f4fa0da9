"""An S3 bucket as an object store.

Endpoint, region and credentials are those of the environment or the machine's role, as every AWS
tool reads them; none of them is ever written anywhere. Uploads carry a SHA-256 that the server
checks, downloads are held against the checksum that it keeps.
"""

import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from physrl.errors import MissingObjectError, StorageError

ATTEMPTS = 5
"""Of each request, with exponential waits and jitter between them."""
CONNECT_SECONDS = 5
READ_SECONDS = 60
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
        config = Config(
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
        )
        with self._named("opened"):
            self._client: Any = boto3.session.Session().client("s3", config=config)

    def check(self) -> None:
        # Says why it is refused, which HEAD of a bucket does not; and some servers create a
        # missing bucket on the first PUT.
        with self._named("read"):
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)

    def put(self, key: str, data: bytes) -> None:
        with self._named(f"written ({key})"):
            self._put(key, data)

    def create(self, key: str, data: bytes) -> bool:
        for attempt in range(ATTEMPTS - 1):
            try:
                return self._create(key, data)
            except _ConflictError:
                time.sleep(random.uniform(0, 2**attempt))
        return self._create(key, data)

    def get(self, key: str) -> bytes:
        with self._named(f"read ({key})"):
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._prefix + key, ChecksumMode="ENABLED"
            )
            data: bytes = answer["Body"].read()
            return data

    def size(self, key: str) -> int | None:
        try:
            with self._named(f"read ({key})"):
                answer = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except MissingObjectError:
            return None
        return int(answer["ContentLength"])

    def keys(self, prefix: str = "") -> list[str]:
        with self._named("listed"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            found = [one["Key"] for page in pages for one in page.get("Contents", ())]
        return sorted(key.removeprefix(self._prefix) for key in found)

    def delete(self, key: str) -> None:
        with self._named(f"written ({key})"):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def _create(self, key: str, data: bytes) -> bool:
        try:
            with self._named(f"written ({key})"):
                self._put(key, data, IfNoneMatch="*")
        except _LostRaceError:
            return False
        return True

    def _put(self, key: str, data: bytes, **conditions: str) -> None:
        self._client.put_object(
            Bucket=self._bucket,
            Key=self._prefix + key,
            Body=data,
            ChecksumAlgorithm="SHA256",
            **conditions,
        )

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
        except (ConnectionError, HTTPClientError) as error:
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
            return _LostRaceError(code)
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
