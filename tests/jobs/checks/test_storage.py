from pathlib import Path

import pytest

from jobs.checks.storage import check_storage, check_writable
from physrl.errors import UserError
from physrl.storage.folder_store import FolderStore
from physrl.storage.object_store import open_store


def test_good_storage_is_left_unchanged(bucket: str, tmp_path: Path) -> None:
    for location in (f"s3://{bucket}/runs/demo", str(tmp_path / "kept" / "demo")):
        check_storage(location)
        assert open_store(location).keys() == []


def test_storage_without_conditional_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderStore, "create", lambda self, key, data: True)
    with pytest.raises(UserError, match=rf"storage is {tmp_path}/kept: .*If-None-Match"):
        check_storage(str(tmp_path / "kept"))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=rf"{tmp_path}/file/run .*output="):
        check_writable(tmp_path / "file" / "run")
