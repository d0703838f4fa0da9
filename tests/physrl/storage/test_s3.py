import base64
import hashlib
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.utils import parse_timestamp

from physrl.errors import StorageError
from physrl.storage import s3
from physrl.storage.object_store import open_store
from physrl.storage.s3_errors import CONFLICT


def test_a_prefix_hides_the_rest_of_the_bucket(bucket: str) -> None:
    outer, inner = open_store(f"s3://{bucket}"), open_store(f"s3://{bucket}/run")
    outer.put("running", b"1")
    inner.put("a", b"2")
    assert outer.keys() == ["run/a", "running"]
    assert inner.keys() == ["a"]


def test_a_pickled_store_opens_the_same_place(bucket: str) -> None:
    store = open_store(f"s3://{bucket}/run")
    store.put("a", b"1")
    again = pickle.loads(pickle.dumps(store))
    assert again.location == store.location
    assert again.get("a") == b"1"


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
    with pytest.raises(StorageError, match=r"\(a\).*BadDigest"):
        store.put("a", b"cut of")
    assert store.get("a") == b"whole"


def test_a_request_that_fails_is_retried(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
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


class ScriptedClient:
    """A client whose PUTs return scripted codes."""

    def __init__(self, *codes: str) -> None:
        self.codes = list(codes)
        self.meta = SimpleNamespace(endpoint_url="http://127.0.0.1:9")

    def put_object(self, **_: object) -> None:
        code = self.codes.pop(0)
        if code != "OK":
            status = {"HTTPStatusCode": {"PreconditionFailed": 412}.get(code, 409)}
            raise ClientError({"Error": {"Code": code}, "ResponseMetadata": status}, "PutObject")


@pytest.mark.parametrize(("last", "created"), [("OK", True), ("PreconditionFailed", False)])
@pytest.mark.usefixtures("closed_endpoint")
def test_a_conflict_is_retried(last: str, created: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "ATTEMPTS", 3)
    monkeypatch.setattr("time.sleep", lambda _: None)
    store: Any = open_store("s3://bucket")
    store._client = ScriptedClient(CONFLICT, CONFLICT, last)
    assert store.create("manifest.json", b"1") is created
    assert store._client.codes == []


@pytest.mark.usefixtures("closed_endpoint")
def test_a_persistent_conflict_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "ATTEMPTS", 3)
    monkeypatch.setattr("time.sleep", lambda _: None)
    store: Any = open_store("s3://bucket")
    store._client = ScriptedClient(*[CONFLICT] * 3)
    with pytest.raises(StorageError, match=r"\(manifest\.json\).*ConditionalRequestConflict"):
        store.create("manifest.json", b"1")
    assert store._client.codes == []


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-30T12:00:00.000Z",
        "2026-11-30T12:00:00Z",
        "2026-11-30T14:00:00.5+02:00",
        "2026-11-30T12:00:00",
        "20261130T120000Z",
        "Mon, 30 Nov 2026 12:00:00 GMT",
        1796040000,
    ],
)
def test_times_are_those_that_botocore_reads(value: Any) -> None:
    assert s3.parse_time(value).timestamp() == parse_timestamp(value).timestamp()


def test_a_listing_has_the_times_of_its_objects(bucket: str) -> None:
    store: Any = open_store(f"s3://{bucket}")
    store.put("a", b"1")
    (entry,) = store.entries().values()
    head = store._client.head_object(Bucket=bucket, Key="a")
    assert entry.modified == pytest.approx(head["LastModified"].timestamp(), abs=1)
