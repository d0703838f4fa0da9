"""Every refusal of an S3 server, in one line whose cause is the server's own."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from physrl.errors import MissingObjectError, StorageError
from physrl.storage import s3, s3_transfer
from physrl.storage.object_store import ObjectStore, open_store
from tests.support.answering_server import Answer, answering, s3_error
from tests.support.damage import damaged, refusal

WORDS = {
    "AccessDenied": "permission",
    "AllAccessDisabled": "owner",
    "AuthorizationHeaderMalformed": "AWS_DEFAULT_REGION",
    "BadDigest": "network",
    "ExpiredToken": "AWS_SESSION_TOKEN",
    "InsufficientStorage": "space",
    "InternalError": "failed",
    "InvalidAccessKeyId": "AWS_ACCESS_KEY_ID",
    "InvalidObjectState": "archived",
    "InvalidToken": "AWS_SESSION_TOKEN",
    "KMS.DisabledException": "encryption",
    "NotImplemented": "lacks a function",
    "QuotaExceeded": "quota",
    "RequestTimeTooSkewed": "clock",
    "ServiceUnavailable": "busy",
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY",
    "SlowDown": "busy",
    "TokenRefreshRequired": "AWS_SESSION_TOKEN",
    "XMinioAdminBucketQuotaExceeded": "quota",
    "XMinioStorageFull": "space",
    "SomethingNew": "check the server",
}
STATUSES = {"SlowDown": 503, "ServiceUnavailable": 503, "InternalError": 500, "NotImplemented": 501}
ACTIONS: dict[str, Callable[[ObjectStore, Path], object]] = {
    "check": lambda store, _: store.check(),
    "size": lambda store, _: store.size("a"),
    "get": lambda store, _: store.get("a"),
    "entries": lambda store, _: store.entries(),
    "put": lambda store, _: store.put("a", b"x"),
    "create": lambda store, _: store.create("a", b"x"),
    "upload": lambda store, file: store.upload("a", file),
    "download": lambda store, file: store.download("a", file.with_name("b")),
    "delete": lambda store, _: store.delete("a"),
    "clear": lambda store, _: store.clear_partial(),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answer]:
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    monkeypatch.setattr(s3_transfer, "ATTEMPTS", 1)
    with answering() as answer:
        for name, value in {
            "AWS_ENDPOINT_URL": answer.url,
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "hush",
            "AWS_SESSION_TOKEN": "hush-hush",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }.items():
            monkeypatch.setenv(name, value)
        yield answer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(b"x")
    return tmp_path / "a"


@pytest.mark.parametrize("action", ACTIONS)
def test_hunted_refusal_is_explained_by_the_servers_own_code(
    action: str, server: Answer, file: Path
) -> None:
    store = open_store("s3://bucket/runs/mine")
    for code in sorted(WORDS)[:: 4 if action == "check" else 1]:
        word = WORDS[code]
        server.status, server.body = STATUSES.get(code, 403), s3_error(code, "because of that")
        with pytest.raises(StorageError) as caught:
            ACTIONS[action](store, file)
        line = str(caught.value)
        assert code in line
        assert "because of that" in line
        assert word in line
        assert "hush" not in line
        assert "\n" not in line
        if word in ("clock", "quota", "space", "busy", "failed", "lacks a function"):
            assert "AWS_SECRET_ACCESS_KEY" not in line


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_hunted_answers_of_no_s3_server_raise_nothing_else(
    action: str, seed: int, server: Answer, file: Path
) -> None:
    store, draw = open_store("s3://bucket/runs/mine"), random.Random(f"{action}{seed}")
    pages = [
        b"<html><body>Welcome to nginx</body></html>",
        b"{}",
        b"",
        s3_error("AccessDenied", "no"),
        b"<ListBucketResult><Contents><Key>a</Key><Size>1</Size>"
        b"<LastModified>2026-11-29T00:00:00.000Z</LastModified></Contents></ListBucketResult>",
    ]
    for _ in range(6 if action == "check" else 40):  # a check connects anew
        server.status = draw.choice((200, 200, 206, 301, 400, 401, 403, 404, 405, 407, 429, 500))
        server.body = damaged(draw.choice([*pages, draw.randbytes(9)]), draw)
        server.cut = draw.random() < 0.1
        server.headers = {"etag": '"e"'} if draw.random() < 0.8 else {}
        line = refusal(ACTIONS[action], store, file)
        assert line is None or "hush" not in line


def test_hunted_missing_objects_stay_missing(server: Answer) -> None:
    store = open_store("s3://bucket/runs/mine")
    server.status, server.body = 404, s3_error("NoSuchKey", "no such key")
    assert store.size("a") is None
    with pytest.raises(MissingObjectError):
        store.get("a")
    server.body = s3_error("NoSuchBucket", "no such bucket")
    with pytest.raises(StorageError, match="'bucket'") as caught:
        store.get("a")
    assert not isinstance(caught.value, MissingObjectError)
