from pathlib import Path

import pytest

from physrl.errors import StorageError
from physrl.storage import folder_store
from physrl.storage.object_store import open_store


def test_an_incomplete_file_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(tmp_path))
    store.put("a", b"old")
    during: list[tuple[bytes, list[str]]] = []

    def sync(_: int) -> None:
        during.append((store.get("a"), store.keys()))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_store.os, "fsync", sync)
    with pytest.raises(StorageError, match=r"\(a\): No space left on device"):
        store.put("a", b"new")
    assert during == [(b"old", ["a"])]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = open_store(str(tmp_path / "file"))
    for write in (store.check, lambda: store.put("a", b"1"), lambda: store.create("a", b"1")):
        with pytest.raises(StorageError, match=f"folder {tmp_path}/file "):
            write()
