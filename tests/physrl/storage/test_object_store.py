"""What both stores promise, a folder and a bucket alike; and what each says when it cannot."""

import base64
import hashlib
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from physrl.errors import MissingObjectError, StorageError
from physrl.storage import folder_store, s3
from physrl.storage.object_store import ObjectStore, open_store
from physrl.storage.s3 import S3Store


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return open_store(str(tmp_path / "some" / "folder"))
    return open_store(f"s3://{request.getfixturevalue('bucket')}/some/prefix/")


def test_objects_come_back_and_are_listed(store: ObjectStore) -> None:
    store.check()
    assert store.keys() == []
    store.put("data/b", b"first")
    store.put("data/b", b"second")
    store.put("data/a", b"")
    store.put("c", bytes(range(256)) * 40_000)  # 10 MB: more than a part of a multipart upload
    assert store.get("data/b") == b"second"
    assert store.get("c") == bytes(range(256)) * 40_000
    assert (store.size("data/a"), store.size("data/b"), store.size("d")) == (0, 6, None)
    assert store.keys() == ["c", "data/a", "data/b"]
    assert store.keys("data/") == ["data/a", "data/b"]
    store.delete("data/a")
    store.delete("data/a")
    assert store.keys() == ["c", "data/b"]


def test_what_is_not_there_is_named(store: ObjectStore) -> None:
    with pytest.raises(MissingObjectError, match="nothing") as caught:
        store.get("data/nothing")
    assert "\n" not in str(caught.value)


def test_one_of_many_creators_wins(store: ObjectStore) -> None:
    texts = [f"writer {number}".encode() for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda text: store.create("manifest.json", text), texts))
    assert sum(won) == 1
    assert store.get("manifest.json") == texts[won.index(True)]
    assert not store.create("manifest.json", b"late")
    assert store.keys() == ["manifest.json"]


def test_a_prefix_hides_the_rest_of_the_bucket(bucket: str) -> None:
    outer, inner = open_store(f"s3://{bucket}"), open_store(f"s3://{bucket}/run")
    outer.put("running", b"1")
    inner.put("a", b"2")
    assert outer.keys() == ["run/a", "running"]
    assert inner.keys() == ["a"]


def test_half_a_file_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(tmp_path))
    store.put("a", b"old")
    during: list[tuple[bytes, list[str]]] = []

    def sync(_: int) -> None:
        during.append((store.get("a"), store.keys()))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_store.os, "fsync", sync)
    with pytest.raises(StorageError, match=r"\(a\): No space left on device: free some space"):
        store.put("a", b"new")
    assert during == [(b"old", ["a"])]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = open_store(str(tmp_path / "file"))
    for write in (store.check, lambda: store.put("a", b"1"), lambda: store.create("a", b"1")):
        with pytest.raises(StorageError, match=r"file cannot be written.*: name a folder"):
            write()


def test_uploads_carry_a_checksum_that_the_server_verifies(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: Any = open_store(f"s3://{bucket}")
    sent: dict[str, str] = {}

    def note(request: Any, **_: object) -> None:
        sent.update({key.lower(): str(value) for key, value in request.headers.items()})

    store._client.meta.events.register("before-send.s3.PutObject", note)
    store.put("a", b"whole")
    digest = base64.b64encode(hashlib.sha256(b"whole").digest()).decode()
    assert digest in sent.get("x-amz-checksum-sha256", "")

    def damage(params: dict[str, Any], **_: object) -> None:
        params["ChecksumSHA256"] = digest

    store._client.meta.events.register("before-parameter-build.s3.PutObject", damage)
    with pytest.raises(StorageError, match=r"written \(a\).*says BadDigest"):
        store.put("a", b"cut of")
    assert store.get("a") == b"whole"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("environment", "place", "message"),
    [
        ({}, "s3://no-such-bucket/x", "bucket 'no-such-bucket' does not exist at http://127"),
        ({}, "s3:///x", r"s3:///x names no bucket: write s3://bucket/prefix"),
        ({}, "s3://Bad!Name/x", r"'Bad!Name' is no name of a bucket"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, None, r"refuses .* \(SignatureDoesNotMatch\): check"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, None, r"refuses .* \(InvalidAccessKeyId\): check AWS"),
        ({"AWS_SECRET_ACCESS_KEY": None}, None, "no credentials: set AWS_ACCESS_KEY_ID and"),
        (
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            None,
            "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        ({"AWS_ENDPOINT_URL": "nowhere:80"}, None, "Invalid endpoint: nowhere:80: set AWS_END"),
        ({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}, None, "does not answer"),
        ({"AWS_PROFILE": "nobody"}, None, r"profile .*nobody.* could not be found: check the AWS"),
    ],
)
def test_what_is_wrong_with_a_bucket_is_one_line(
    environment: dict[str, str | None],
    place: str | None,
    message: str,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    for name, value in environment.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match=message) as caught:
        open_store(place or f"s3://{bucket}/x").check()
    assert "\n" not in str(caught.value)
    assert "a-secret-of-the-tests" not in str(caught.value)


def test_a_server_that_stumbles_is_asked_again(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: Any = open_store(f"s3://{bucket}")
    from botocore.awsrequest import AWSResponse

    stumbles = [500, 503]

    def stumble(**_: object) -> AWSResponse | None:
        if not stumbles:
            return None
        from botocore.compat import HTTPHeaders

        class Raw:
            def stream(self, *_: object, **__: object) -> list[bytes]:
                return []

        return AWSResponse("http://x", stumbles.pop(), HTTPHeaders(), Raw())

    monkeypatch.setattr("time.sleep", lambda _: None)
    store._client.meta.events.register("before-send.s3.PutObject", stumble)
    store.put("a", b"1")
    assert stumbles == []
    assert store.get("a") == b"1"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of an endpoint where nothing listens, with a password in its URL."""
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://me:hush@127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, r"cannot be read: http://127\.0\.0\.1:\d+ does not answer"),
        ("me:hush@nowhere:80", "Invalid endpoint: nowhere:80: set AWS_ENDPOINT_URL"),
        ("http://me:hush@no where", "Invalid endpoint: http://no where: set AWS_ENDPOINT_URL"),
    ],
)
@pytest.mark.usefixtures("endpoint")
def test_the_password_of_an_endpoint_is_not_told(
    url: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if url is not None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(StorageError, match=message) as caught:
        open_store("s3://bucket/x").check()
    assert "hush" not in str(caught.value)


class Answering:
    """A client whose server gives these answers to its PUTs, one after the other."""

    def __init__(self, *codes: str) -> None:
        self.codes = list(codes)
        self.meta = SimpleNamespace(endpoint_url="http://127.0.0.1:9")

    def put_object(self, **_: object) -> None:
        code = self.codes.pop(0)
        if code != "OK":
            status = {"HTTPStatusCode": {"PreconditionFailed": 412}.get(code, 409)}
            raise ClientError({"Error": {"Code": code}, "ResponseMetadata": status}, "PutObject")


@pytest.mark.parametrize(("last", "created"), [("OK", True), ("PreconditionFailed", False)])
@pytest.mark.usefixtures("endpoint")
def test_a_conflict_decides_nothing_and_is_tried_again(
    last: str, created: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "ATTEMPTS", 3)
    monkeypatch.setattr("time.sleep", lambda _: None)
    store: Any = S3Store("s3://bucket")
    store._client = Answering(s3.CONFLICT, s3.CONFLICT, last)
    assert store.create("manifest.json", b"1") is created
    assert store._client.codes == []


@pytest.mark.usefixtures("endpoint")
def test_a_conflict_that_lasts_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "ATTEMPTS", 3)
    monkeypatch.setattr("time.sleep", lambda _: None)
    store: Any = S3Store("s3://bucket")
    store._client = Answering(*[s3.CONFLICT] * 3)
    with pytest.raises(
        StorageError, match=r"\(manifest.json\): .* says ConditionalRequestConflict"
    ):
        store.create("manifest.json", b"1")
    assert store._client.codes == []
