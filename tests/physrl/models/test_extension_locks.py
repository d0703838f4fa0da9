import os
import time
from pathlib import Path

import pytest

from physrl.models.extension_locks import STALE_SECONDS, remove_stale_locks


def test_hunted_lock_of_a_killed_compiler_is_removed_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    old, fresh = tmp_path / "py311_cpu" / "a" / "lock", tmp_path / "b" / "lock"
    for lock in (old, fresh):
        lock.parent.mkdir(parents=True)
        lock.touch()
        (lock.parent / "build.ninja").touch()
    left = time.time() - STALE_SECONDS - 60
    os.utime(old, (left, left))
    assert remove_stale_locks() == [old]
    assert not old.exists()
    assert fresh.exists()
    assert (old.parent / "build.ninja").exists()
    (warned,) = [each.message for each in caplog.records]
    assert str(old) in warned
    assert remove_stale_locks() == []


def test_without_compiled_extensions_there_is_nothing_to_remove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "none"))
    assert remove_stale_locks() == []
