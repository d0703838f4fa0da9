from pathlib import Path
from typing import Any

import pytest

from physrl.errors import StorageError
from physrl.storage.checkpoints import Checkpoints
from physrl.storage.mirror import RunMirror
from physrl.storage.object_store import Entry, ObjectStore, open_store
from physrl.storage.restore import restore
from tests.support.checkpoints import commit


def keep(place: str, run: Path) -> ObjectStore:
    """Store a run with checkpoints of steps 20 and 40."""
    store = open_store(place)
    run.mkdir()
    (run / "config.yaml").write_text("seed: 1\n")
    (run / "metrics.jsonl").write_text('{"step": 40}\n')
    with RunMirror(run, store, 2) as mirror:
        for step in (20, 40):
            mirror.checkpoint(commit(run, step))
        mirror.wait(60)
    return store


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return keep(str(tmp_path / "storage" / "run"), tmp_path / "original")


def damage(store: ObjectStore, key: str) -> None:
    data = store.get(key)
    store.put(key, bytes([data[0] ^ 1]) + data[1:])


def test_an_empty_folder_gets_the_newest(place: str, tmp_path: Path) -> None:
    seen: list[int] = []
    restored = restore(keep(place, tmp_path / "original"), tmp_path / "new", seen.append)
    assert restored is not None
    assert restored.step == 40
    assert restored.path == tmp_path / "new" / "checkpoints" / "step-00000040"
    assert sum(seen) > 1000
    assert (tmp_path / "new" / "config.yaml").read_text() == "seed: 1\n"


@pytest.mark.parametrize("problem", ["damaged", "incomplete", "without manifest", "no manifest"])
def test_a_damaged_checkpoint_is_skipped_and_its_file_named(
    problem: str, store: ObjectStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = "checkpoints/step-00000040/"
    if problem == "damaged":
        damage(store, f"{key}adapter/adapter_model.safetensors")
    elif problem == "incomplete":
        store.delete(f"{key}learner.bin")
    elif problem == "without manifest":
        store.delete(f"{key}MANIFEST.json")
    else:
        store.put(f"{key}MANIFEST.json", b"{")
    restored = restore(store, tmp_path / "new")
    assert restored is not None
    assert restored.step == 20
    if problem in ("damaged", "incomplete"):
        name = "adapter_model.safetensors" if problem == "damaged" else "learner.bin is missing"
        assert name in caplog.text
    latest = Checkpoints(tmp_path / "new", 2).latest()
    assert latest is not None
    assert latest.step == 20


def test_an_older_folder_is_updated(store: ObjectStore, tmp_path: Path) -> None:
    commit(tmp_path / "new", 30)
    (tmp_path / "new" / "metrics.jsonl").write_text('{"step": 30}\n')
    restored = restore(store, tmp_path / "new")
    assert restored is not None
    assert restored.step == 40
    assert (tmp_path / "new" / "metrics.jsonl").read_text() == '{"step": 40}\n'


def test_a_newer_folder_is_left_unchanged(store: ObjectStore, tmp_path: Path) -> None:
    commit(tmp_path / "new", 60)
    (tmp_path / "new" / "metrics.jsonl").write_text('{"step": 60}\n')
    restored = restore(store, tmp_path / "new")
    assert restored is not None
    assert restored.step == 60
    assert (tmp_path / "new" / "metrics.jsonl").read_text() == '{"step": 60}\n'


def test_a_damaged_local_checkpoint_is_replaced_by_the_stored_one(
    store: ObjectStore, tmp_path: Path
) -> None:
    restore(store, tmp_path / "new")
    (tmp_path / "new" / "checkpoints" / "step-00000040" / "learner.bin").write_bytes(b"torn")
    restored = restore(store, tmp_path / "new")
    assert restored is not None
    assert restored.step == 40
    assert Checkpoints(tmp_path / "new", 2).latest() is not None


def test_names_that_lead_out_of_the_folder_are_not_followed(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "storage" / "outside").write_text("x")
    entries = {**store.entries(), "../outside": Entry(1, 0.0)}
    monkeypatch.setattr(store, "entries", lambda prefix="": entries)
    restored = restore(store, tmp_path / "deep" / "new")
    assert restored is not None
    assert (tmp_path / "deep" / "new" / "metrics.jsonl").exists()
    assert not (tmp_path / "deep" / "outside").exists()


def test_an_interrupted_restoration_is_resumed(bucket: str, network: Any, tmp_path: Path) -> None:
    store = open_store(f"s3://{bucket}/run")
    with RunMirror(tmp_path / "run", store, 2) as mirror:
        mirror.checkpoint(commit(tmp_path / "run", 20))
        mirror.wait(60)
    network.fail("500 InternalError", "GET", "learner.bin", times=5)
    with pytest.raises(StorageError, match=r"checkpoints/step-00000020/learner.bin"):
        restore(store, tmp_path / "new")
    assert Checkpoints(tmp_path / "new", 2).latest() is None
    before = network.sent("GET", "adapter_model")
    restored = restore(store, tmp_path / "new")
    assert restored is not None
    assert network.sent("GET", "adapter_model") <= max(before, 1)
