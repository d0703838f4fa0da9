"""Files of any size to and from an S3 bucket: in parts, several at once, never whole in memory.

Uploads: each part carries a SHA-256 that the server verifies; a multipart upload that fails is
aborted. Downloads: ranges are written in place and noted beside the file, so that one that was cut
goes on where it stopped. boto3's own transfers neither write with a condition nor resume.
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
"""Bytes of a part, and of a range; a smaller file is one request."""
MOST_PARTS = 10_000
PARALLEL = 8
"""Parts of a file on their way at once."""
ATTEMPTS = 5
"""To read a body; requests as such are repeated by botocore."""
CUT = (FlexibleChecksumError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
"""What reading a body raises when the connection is cut, or bytes are wrong."""


def upload(client: Any, bucket: str, key: str, path: Path, **conditions: str) -> None:
    """Write a file, as long as it is now, under a key.

    Args:
        conditions: such as `IfNoneMatch`, of the request that makes the object exist.

    Raises:
        StorageError: the file cannot be read, or was cut meanwhile.
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
    """Write an object that is one request."""
    client.put_object(Bucket=bucket, Key=key, Body=data, ChecksumAlgorithm="SHA256", **conditions)


def download(client: Any, bucket: str, key: str, path: Path, progress: Progress) -> None:
    """Write an object to a file; what an earlier call left of the same object is kept.

    Raises:
        StorageError: the file cannot be written.
    """
    found = client.head_object(Bucket=bucket, Key=key)
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
        notes = path.with_name(f"{PARTIAL}{path.name}.ranges")
        _download_ranges(client, bucket, key, partial, notes, size, version, progress)
        notes.unlink(missing_ok=True)
    with writing_to(path):
        partial.replace(path)


def read(client: Any, **request: str) -> bytes:
    """An object's bytes, or those of a range; held against the server's checksum where it has one.

    Raises:
        BotoCoreError, ClientError: as boto3 does.
    """
    for attempt in range(ATTEMPTS):
        body = client.get_object(ChecksumMode="ENABLED", **request)["Body"]
        try:
            data: bytes = body.read()
            return data
        except CUT:
            body.close()
            if attempt + 1 == ATTEMPTS:
                raise
        time.sleep(random.uniform(0, 2**attempt))
    raise AssertionError("the last attempt returns or raises")


def clear(client: Any, bucket: str, prefix: str) -> None:
    """Abort the multipart uploads under a prefix."""
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
    for one in [upload for page in pages for upload in page.get("Uploads", ())]:
        client.abort_multipart_upload(Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"])


@contextmanager
def _multipart(client: Any, bucket: str, key: str) -> Iterator[str]:
    """The id of an upload that is aborted if anything fails."""
    upload_id = client.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="SHA256")[
        "UploadId"
    ]
    try:
        yield upload_id
    except BaseException:
        # Where the server is gone, the next writer of the run aborts it.
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
        answer = client.upload_part(
            Bucket=bucket,
            Key=key,
            UploadId=upload_id,
            PartNumber=number + 1,
            Body=data,
            ChecksumSHA256=digest,
        )
        return {"PartNumber": number + 1, "ETag": answer["ETag"], "ChecksumSHA256": digest}

    with _threads() as pool:
        return list(pool.imap(send, range(math.ceil(size / length))))


def _part(source: BinaryIO, start: int, length: int) -> bytes:
    data = os.pread(source.fileno(), length, start)
    if len(data) < length:
        raise StorageError(f"{source.name} was cut while it was uploaded: upload it again")
    return data


def _download_ranges(
    client: Any,
    bucket: str,
    key: str,
    partial: Path,
    notes: Path,
    size: int,
    version: str,
    progress: Progress,
) -> None:
    head = f"{version} {size}"
    done = _noted(notes, head) if partial.exists() else set()
    starts = [start for start in range(0, size, PART) if start not in done]
    progress(sum(min(PART, size - start) for start in done))

    def fetch(start: int) -> int:
        last = min(start + PART, size) - 1
        data = read(client, Bucket=bucket, Key=key, Range=f"bytes={start}-{last}", IfMatch=version)
        with writing_to(partial):
            os.pwrite(stream.fileno(), data, start)
        progress(len(data))
        return start

    with writing_to(partial):
        if not done:
            partial.write_bytes(b"")
            notes.write_text(f"{head}\n")
        stream = partial.open("r+b")
    with stream, notes.open("a") as log, _threads() as pool:
        for start in pool.imap_unordered(fetch, starts):
            with writing_to(notes):
                print(start, file=log, flush=True)


def _noted(notes: Path, head: str) -> set[int]:
    """The ranges of this version of an object that are there; a torn last line is passed over."""
    try:
        first, *lines = notes.read_text().split("\n")[:-1]
    except (OSError, ValueError):
        return set()
    return {int(line) for line in lines if line.isdecimal()} if first == head else set()


def _threads() -> ThreadPool:
    """Threads that the process does not wait for when it ends, unlike those of an executor."""
    return ThreadPool(PARALLEL)
