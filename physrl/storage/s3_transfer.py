"""Transfers of files of any size to and from S3, in concurrent parts, never whole in memory.

Uploads: each part carries a SHA-256 that the server verifies; a failed multipart upload is aborted.
Downloads: ranges are written in place and logged in a file of their own, from which an interrupted
download is resumed. boto3's own transfers neither write conditionally nor resume.
"""

import base64
import hashlib
import math
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from physrl.errors import StorageError
from physrl.storage.object_store import PARTIAL, Progress, open_source, writing_to

PART = 2**24
"""Bytes of a part, and of a range; a smaller file takes one request."""
MOST_PARTS = 10_000
PARALLEL = 8
"""Concurrent parts of a file."""
ATTEMPTS = 5
"""Attempts to read a body; botocore retries requests themselves."""
NOT_FOUND = "404"
BROKEN_BODY = (FlexibleChecksumError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
"""Errors of reading a body when the connection is lost or bytes are corrupt."""


def upload(client: Any, bucket: str, key: str, path: Path, **conditions: str) -> None:
    """Upload a file up to its present end.

    Args:
        conditions: conditional headers, such as `IfNoneMatch`, of the request that creates the
            object.

    Raises:
        StorageError: the file cannot be read, or was truncated during the upload.
    """
    with open_source(path) as source:
        size = os.fstat(source.fileno()).st_size
        if size <= PART:
            data = _part(source, 0, size)
            put(client, bucket, key, data, **conditions)
        else:
            with _multipart(client, bucket, key) as upload_id:
                parts = _upload_parts(client, bucket, key, upload_id, source, size)
                client.complete_multipart_upload(
                    Bucket=bucket,
                    Key=key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": parts},
                    **conditions,
                )


def put(client: Any, bucket: str, key: str, data: bytes, **conditions: str) -> None:
    """Write an object in one request."""
    client.put_object(Bucket=bucket, Key=key, Body=data, ChecksumAlgorithm="SHA256", **conditions)


def download(client: Any, bucket: str, key: str, path: Path, progress: Progress) -> None:
    """Download an object to a file, resuming an interrupted download of the same object.

    Raises:
        StorageError: the file cannot be written.
    """
    found = head(client, bucket, key)
    size, version = int(found["ContentLength"]), found["ETag"]
    partial = path.with_name(PARTIAL + path.name)
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    if size <= PART:
        data = read(client, Bucket=bucket, Key=key)
        with writing_to(path):
            partial.write_bytes(data)
        progress(size)
    else:
        log = path.with_name(f"{PARTIAL}{path.name}.ranges")
        _download_ranges(client, bucket, key, partial, log, size, version, progress)
        log.unlink(missing_ok=True)
    with writing_to(path):
        partial.replace(path)


def head(client: Any, bucket: str, key: str) -> dict[str, Any]:
    """Read the size and version of an object.

    Raises:
        BotoCoreError, ClientError: the request failed.
    """
    try:
        found: dict[str, Any] = client.head_object(Bucket=bucket, Key=key)
        return found
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if not code.isdecimal() or code == NOT_FOUND:
            raise
        # The answer to HEAD has no body, which would name the cause: ask for one byte.
        client.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")["Body"].close()
        raise


def read(client: Any, **request: str) -> bytes:
    """Read an object or a range of it, verified against the server's checksum if it has one.

    Raises:
        BotoCoreError, ClientError: the request failed.
    """
    for attempt in range(ATTEMPTS):
        body = client.get_object(ChecksumMode="ENABLED", **request)["Body"]
        try:
            data: bytes = body.read()
            return data
        except BROKEN_BODY:
            body.close()
            if attempt + 1 == ATTEMPTS:
                raise
        time.sleep(random.uniform(0, 2**attempt))
    raise AssertionError("the last attempt returns or raises")


def clear(client: Any, bucket: str, prefix: str) -> None:
    """Abort the multipart uploads under a prefix."""
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
    for each in [upload for page in pages for upload in page.get("Uploads", ())]:
        client.abort_multipart_upload(Bucket=bucket, Key=each["Key"], UploadId=each["UploadId"])


@contextmanager
def _multipart(client: Any, bucket: str, key: str) -> Iterator[str]:
    """Yield the id of a multipart upload, which is aborted if the block fails."""
    upload_id = client.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="SHA256")[
        "UploadId"
    ]
    try:
        yield upload_id
    except BaseException:
        # If the server is gone, the run's next writer aborts it.
        with suppress(BotoCoreError, ClientError):
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
        raise


def _upload_parts(
    client: Any, bucket: str, key: str, upload_id: str, source: BinaryIO, size: int
) -> list[dict[str, Any]]:
    length = max(PART, math.ceil(size / MOST_PARTS))

    def send(number: int) -> dict[str, Any]:
        data = _part(source, number * length, min(length, size - number * length))
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        response = client.upload_part(
            Bucket=bucket,
            Key=key,
            UploadId=upload_id,
            PartNumber=number + 1,
            Body=data,
            ChecksumSHA256=digest,
        )
        return {"PartNumber": number + 1, "ETag": response["ETag"], "ChecksumSHA256": digest}

    with _threads() as pool:
        return list(pool.imap(send, range(math.ceil(size / length))))


def _part(source: BinaryIO, start: int, length: int) -> bytes:
    data = os.pread(source.fileno(), length, start)
    if len(data) < length:
        raise StorageError(f"{source.name} was truncated during its upload: upload it again")
    return data


def _download_ranges(
    client: Any,
    bucket: str,
    key: str,
    partial: Path,
    log: Path,
    size: int,
    version: str,
    progress: Progress,
) -> None:
    head = f"{version} {size}"

    def end(start: int) -> int:
        return min(start + PART, size)

    noted = _finished_ranges(log, head) if partial.is_file() else set()
    present = partial.stat().st_size if noted else 0
    # A machine that lost power may have kept the log without the bytes.
    done = {start for start in range(0, size, PART) if start in noted and end(start) <= present}
    starts = [start for start in range(0, size, PART) if start not in done]
    progress(sum(end(start) - start for start in done))

    def fetch(start: int) -> int:
        last = end(start) - 1
        data = read(client, Bucket=bucket, Key=key, Range=f"bytes={start}-{last}", IfMatch=version)
        with writing_to(partial):
            os.pwrite(stream.fileno(), data, start)
        progress(len(data))
        return start

    with writing_to(partial):
        if not done:
            partial.write_bytes(b"")
            log.write_text(f"{head}\n")
        stream = partial.open("r+b")
    with stream, log.open("a") as lines, _threads() as pool:
        for start in pool.imap_unordered(fetch, starts):
            with writing_to(log):
                print(start, file=lines, flush=True)
        stream.truncate(size)  # of other leftovers under this name


def _finished_ranges(log: Path, head: str) -> set[int]:
    """Read the log of finished ranges of this version of an object; skip a torn last line."""
    try:
        first, *lines = log.read_text().split("\n")[:-1]
    except (OSError, ValueError):
        return set()
    return {int(line) for line in lines if line.isdecimal()} if first == head else set()


def _threads() -> ThreadPool:
    """Make a pool whose threads do not delay the process's exit, unlike an executor's."""
    return ThreadPool(PARALLEL)
