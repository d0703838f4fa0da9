"""The interface of stores, for a folder and a bucket."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from physrl.errors import MissingObjectError
from physrl.storage.object_store import ObjectStore, open_store


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return open_store(str(tmp_path / "some" / "folder"))
    return open_store(f"s3://{request.getfixturevalue('bucket')}/some/prefix/")


def test_objects_are_read_back_and_listed(store: ObjectStore) -> None:
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


def test_a_missing_object_is_named(store: ObjectStore) -> None:
    with pytest.raises(MissingObjectError, match="nothing") as caught:
        store.get("data/nothing")
    assert "\n" not in str(caught.value)


def test_one_of_several_creators_wins(store: ObjectStore) -> None:
    texts = [f"writer {number}".encode() for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda text: store.create("manifest.json", text), texts))
    assert sum(won) == 1
    assert store.get("manifest.json") == texts[won.index(True)]
    assert not store.create("manifest.json", b"late")
    assert store.keys() == ["manifest.json"]
