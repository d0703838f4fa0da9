"""Large files through a network with faults, to a server that verifies checksums."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from physrl.errors import StorageError
from physrl.storage import s3_transfer
from physrl.storage.object_store import ObjectStore, open_store
from tests.support.paths import ROOT

PART = 5 * 2**20
"""Smallest part that S3 accepts, in bytes."""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_transfer, "PART", PART)


@pytest.fixture
def store(bucket: str, network: Any) -> ObjectStore:
    return open_store(f"s3://{bucket}/run")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of three parts and a rest."""
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(3 * PART + 1234))
    return path


def unfinished(store: Any) -> int:
    """Count the multipart uploads that the server holds."""
    answer = store._client.list_multipart_uploads(Bucket=store._bucket)
    return len(answer.get("Uploads", ()))


def test_a_large_file_is_transferred_in_verified_parts(
    store: ObjectStore, network: Any, large: Path, tmp_path: Path
) -> None:
    sent: list[str] = []

    def note(request: Any, **_: object) -> None:
        sent.append(str(request.headers.get("x-amz-checksum-sha256")))

    client: Any = store
    client._client.meta.events.register("before-send.s3.UploadPart", note)
    store.upload("a/large", large)
    assert len(sent) == 4
    assert all(len(digest) > 40 for digest in sent)
    assert store.size("a/large") == large.stat().st_size
    seen: list[int] = []
    store.download("a/large", tmp_path / "back" / "large", seen.append)
    assert (tmp_path / "back" / "large").read_bytes() == large.read_bytes()
    assert sum(seen) == large.stat().st_size
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["large"]
    assert unfinished(store) == 0


def test_a_large_file_never_replaces_another(store: ObjectStore, large: Path) -> None:
    store.put("large", b"first")
    assert not store.upload_new("large", large)
    assert store.get("large") == b"first"
    assert store.upload_new("other", large)
    assert not store.upload_new("other", large)
    assert unfinished(store) == 0


@pytest.mark.parametrize("fault", ["500 InternalError", "503 SlowDown", "slow", "cut upload"])
def test_a_failed_part_is_retried(
    fault: str, store: ObjectStore, network: Any, large: Path
) -> None:
    network.fail(fault, "PUT", "partNumber", times=3)
    store.upload("large", large)
    assert store.get("large") == large.read_bytes()


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_lost_response_loses_no_file(
    method: str, store: ObjectStore, network: Any, large: Path
) -> None:
    network.fail("lost answer", method, "large")
    store.upload("large", large)
    assert store.get("large") == large.read_bytes()


def test_corrupt_bytes_are_refused_by_the_server(
    store: ObjectStore, network: Any, large: Path
) -> None:
    network.fail("wrong upload", "PUT", "partNumber=2", times=9)
    with pytest.raises(StorageError, match=r"\(large\)") as caught:
        store.upload("large", large)
    assert "\n" not in str(caught.value)
    assert store.size("large") is None
    assert unfinished(store) == 0


def test_a_permanently_failed_upload_leaves_nothing(
    store: ObjectStore, network: Any, large: Path
) -> None:
    network.fail("500 InternalError", "PUT", "partNumber=3", times=99)
    with pytest.raises(StorageError, match="InternalError"):
        store.upload_new("large", large)
    assert store.keys() == []
    assert unfinished(store) == 0


@pytest.mark.parametrize("fault", ["500 InternalError", "503 SlowDown", "slow", "cut download"])
@pytest.mark.parametrize("name", ["large", "small"])
def test_a_failed_download_is_retried(
    fault: str, name: str, store: ObjectStore, network: Any, large: Path, tmp_path: Path
) -> None:
    content = large.read_bytes() if name == "large" else b"small" * 100
    (tmp_path / name).write_bytes(content)
    store.upload(name, tmp_path / name)
    network.fail(fault, "GET", name, times=3)
    store.download(name, tmp_path / "back", lambda _: None)
    assert (tmp_path / "back").read_bytes() == content


def test_corrupt_bytes_of_a_small_file_are_detected(
    store: ObjectStore, network: Any, tmp_path: Path
) -> None:
    store.put("small", b"small" * 100)
    network.fail("wrong download", "GET", "small")
    store.download("small", tmp_path / "back", lambda _: None)
    assert (tmp_path / "back").read_bytes() == b"small" * 100
    assert network.sent("GET", "small") == 2


def test_an_interrupted_download_is_resumed(
    store: ObjectStore, network: Any, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.upload("large", large)
    monkeypatch.setattr(s3_transfer, "PARALLEL", 1)  # the first part arrives before the next fails
    network.fail("500 InternalError", "GET", f"bytes={PART}-", times=99)
    with pytest.raises(StorageError, match="InternalError"):
        store.download("large", tmp_path / "back", lambda _: None)
    assert not (tmp_path / "back").exists()
    network.faults.clear()
    seen: list[int] = []
    store.download("large", tmp_path / "back", seen.append)
    assert (tmp_path / "back").read_bytes() == large.read_bytes()
    assert network.sent("GET", "bytes=0-") == 1
    assert sum(seen) == large.stat().st_size


def test_parts_of_another_object_are_not_reused(
    store: ObjectStore, large: Path, tmp_path: Path
) -> None:
    store.upload("large", large)
    (tmp_path / ".partial-back").write_bytes(b"old" * PART)
    (tmp_path / ".partial-back.ranges").write_text('"another version" 15\n0\n')
    store.download("large", tmp_path / "back", lambda _: None)
    assert (tmp_path / "back").read_bytes() == large.read_bytes()


LEFT = {
    "no bytes": (0, "0\n5242880\n"),
    "bytes of one part": (PART, "5242880\n0\n10485760\n"),
    "part of a part": (PART + 7, "0\n5242880\n"),
    "other places": (4 * PART, "7\n15728640000\n5242880\n"),
    "other text": (PART, "-5\n0x10\n\u0663\n\n0"),
    "the whole log without bytes": (3, "0\n5242880\n10485760\n15728640\n"),
}


@pytest.mark.parametrize("left", LEFT)
def test_hunted_leftovers_of_a_download_leave_no_hole(
    left: str, store: Any, large: Path, tmp_path: Path
) -> None:
    store.upload("large", large)
    length, lines = LEFT[left]
    size = large.stat().st_size
    version = store._client.head_object(Bucket=store._bucket, Key="run/large")["ETag"]
    (tmp_path / ".partial-back").write_bytes(large.read_bytes()[:length].ljust(length, b"x"))
    (tmp_path / ".partial-back.ranges").write_text(f"{version} {size}\n{lines}")
    seen: list[int] = []
    store.download("large", tmp_path / "back", seen.append)
    assert (tmp_path / "back").read_bytes() == large.read_bytes()
    assert sum(seen) == size


def test_incomplete_uploads_of_killed_writers_are_removed(store: Any, large: Path) -> None:
    store._client.create_multipart_upload(Bucket=store._bucket, Key="run/checkpoints/x")
    store._client.create_multipart_upload(Bucket=store._bucket, Key="another/x")
    store.clear_partial("checkpoints/")
    assert unfinished(store) == 1


def test_memory_does_not_grow_with_the_file(bucket: str, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from physrl.storage.object_store import open_store
from physrl.storage import s3_transfer
s3_transfer.PARALLEL = 1
store, path = open_store(sys.argv[1]), Path(sys.argv[2])
store.put("warm", b"up")
def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
before = peak()
store.upload("large", path)
store.download("large", path.with_name("back"), lambda _: None)
print(peak() - before)
"""
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(128 * 2**20)
    command = [sys.executable, "-c", code, f"s3://{bucket}", str(path)]
    grown = float(subprocess.check_output(command, cwd=ROOT))
    assert grown < 100
