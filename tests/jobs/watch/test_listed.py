import os
import random
import shutil
from pathlib import Path

import pytest

from jobs.watch.listed import ListedFolder
from jobs.watch.listed_store import ListedStore
from physrl.errors import MissingObjectError
from physrl.storage.folder_store import FolderStore


@pytest.mark.parametrize("seed", range(10))
def test_a_folder_is_listed_as_its_files_change(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    listed = ListedFolder(tmp_path)
    for _ in range(30):
        folder = tmp_path / draw.choice(["", "a", "a/b", "c"])
        if draw.random() < 0.7:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / draw.choice("xyz")).write_text("1")
        elif folder != tmp_path:
            shutil.rmtree(folder, ignore_errors=True)
        if draw.random() < 0.5:  # folders that have not changed for long are not read again
            for place in (tmp_path, *tmp_path.rglob("*/")):
                os.utime(place, (place.stat().st_mtime - 60,) * 2)
        listed.refresh()
        store = ListedStore(listed, "")
        assert store.keys() == FolderStore(tmp_path).keys()
        inside = ListedStore(listed, "a")
        assert inside.keys() == FolderStore(tmp_path / "a").keys()
        assert inside.keys("b/") == FolderStore(tmp_path / "a").keys("b/")


def test_an_object_is_read_again_once_it_has_changed(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    listed = ListedFolder(tmp_path)
    listed.refresh()
    store = ListedStore(listed, "")
    assert store.get("x") == b"old"
    (tmp_path / "x").write_text("newer")
    assert store.get("x") == b"newer"
    (tmp_path / "x").unlink()
    with pytest.raises(MissingObjectError):
        store.get("x")
    assert store.size("x") is None


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    listed = ListedFolder(tmp_path)
    listed.refresh()
    assert set(listed.folders) == {"", "a"}
