"""A stored run on another machine; and names that are taken in storage."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from physrl.config import RunConfig, load_config
from physrl.errors import ConfigError, StorageError
from physrl.storage.checkpoints import Checkpoint, Checkpoints
from physrl.storage.mirror import RunMirror
from physrl.storage.object_store import Entry, ObjectStore, open_store
from physrl.storage.restore import restore
from physrl.storage.run_folder import open_run

Commit = Callable[..., Checkpoint]


def keep(place: str, run: Path, commit: Commit) -> ObjectStore:
    """A run with checkpoints of steps 20 and 40 in storage."""
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
def store(tmp_path: Path, commit: Commit) -> ObjectStore:
    return keep(str(tmp_path / "storage" / "run"), tmp_path / "original", commit)


def damage(store: ObjectStore, key: str) -> None:
    data = store.get(key)
    store.put(key, bytes([data[0] ^ 1]) + data[1:])


def test_an_empty_folder_gets_the_newest(place: str, tmp_path: Path, commit: Commit) -> None:
    seen: list[int] = []
    restored = restore(keep(place, tmp_path / "original", commit), tmp_path / "new", seen.append)
    assert restored is not None
    assert restored.step == 40
    assert restored.path == tmp_path / "new" / "checkpoints" / "step-00000040"
    assert sum(seen) > 1000
    assert (tmp_path / "new" / "config.yaml").read_text() == "seed: 1\n"


@pytest.mark.parametrize("problem", ["damaged", "incomplete", "without manifest", "no manifest"])
def test_a_damaged_checkpoint_is_passed_over_and_its_file_named(
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
        name = "adapter_model.safetensors differs" if problem == "damaged" else "learner.bin is mis"
        assert name in caplog.text
        assert "trying the checkpoint before it" in caplog.text
    latest = Checkpoints(tmp_path / "new", 2).latest()
    assert latest is not None
    assert latest.step == 20


def test_a_folder_that_is_behind_catches_up(
    store: ObjectStore, tmp_path: Path, commit: Commit
) -> None:
    commit(tmp_path / "new", 30)
    (tmp_path / "new" / "metrics.jsonl").write_text('{"step": 30}\n')
    restored = restore(store, tmp_path / "new")
    assert restored is not None
    assert restored.step == 40
    assert (tmp_path / "new" / "metrics.jsonl").read_text() == '{"step": 40}\n'


def test_a_folder_that_is_ahead_stays_as_it_is(
    store: ObjectStore, tmp_path: Path, commit: Commit
) -> None:
    commit(tmp_path / "new", 60)
    (tmp_path / "new" / "metrics.jsonl").write_text('{"step": 60}\n')
    restored = restore(store, tmp_path / "new")
    assert restored is not None
    assert restored.step == 60
    assert (tmp_path / "new" / "metrics.jsonl").read_text() == '{"step": 60}\n'


def test_a_damaged_checkpoint_here_is_replaced_by_the_whole_one(
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


def test_an_answer_cut_short_is_asked_for_again_and_the_rest_goes_on(
    bucket: str, network: Any, tmp_path: Path, commit: Commit
) -> None:
    store = open_store(f"s3://{bucket}/run")
    with RunMirror(tmp_path / "run", store, 2) as mirror:
        mirror.checkpoint(commit(tmp_path / "run", 20))
        mirror.wait(60)
    network.fail("500 InternalError", "GET", "learner.bin", times=5)
    with pytest.raises(StorageError, match=r"read \(checkpoints/step-00000020/learner.bin\)"):
        restore(store, tmp_path / "new")
    assert Checkpoints(tmp_path / "new", 2).latest() is None
    before = network.sent("GET", "adapter_model")
    restored = restore(store, tmp_path / "new")
    assert restored is not None
    assert network.sent("GET", "adapter_model") <= max(before, 1)


# Names of runs


def config(tmp_path: Path, storage: str, *overrides: str) -> RunConfig:
    return load_config(None, [f"output={tmp_path}", "name=run", f"storage={storage}", *overrides])


@pytest.fixture
def storage(place: str) -> str:
    return place.removesuffix("/run")


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_new_run_takes_its_name_in_storage(storage: str, tmp_path: Path) -> None:
    first = config(tmp_path / "a", storage, "seed=3")
    open_run(first, resume=False)
    text = open_store(f"{storage}/run").get("config.yaml").decode()
    assert text == (tmp_path / "a" / "run" / "config.yaml").read_text()
    assert "seed: 3\n" in text


def test_a_name_that_is_taken_in_storage_is_refused(storage: str, tmp_path: Path) -> None:
    open_run(config(tmp_path / "a", storage), resume=False)
    with pytest.raises(ConfigError, match=r"/run already holds a run: continue it with --resume"):
        open_run(config(tmp_path / "b", storage), resume=False)
    with pytest.raises(ConfigError, match=r"/run holds a run with seed=0, not 1: resume") as caught:
        open_run(config(tmp_path / "b", storage, "seed=1"), resume=True)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "b" / "run" / "config.yaml").exists()


def test_of_two_runs_that_start_at_once_one_gets_the_name(storage: str, tmp_path: Path) -> None:
    start, refused = threading.Barrier(4), []

    def begin(number: int) -> None:
        start.wait()
        try:
            open_run(config(tmp_path / str(number), storage), resume=False)
        except ConfigError:
            refused.append(number)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_stored_run_is_resumed_elsewhere(storage: str, tmp_path: Path, commit: Commit) -> None:
    first = config(tmp_path / "a", storage)
    open_run(first, resume=False)
    with RunMirror(first.folder, open_store(f"{storage}/run"), 2) as mirror:
        mirror.checkpoint(commit(first.folder, 20))
        mirror.wait(60)
    second = config(tmp_path / "b", storage)
    open_run(second, resume=True)
    latest = Checkpoints(second.folder, 2).latest()
    assert latest is not None
    assert latest.step == 20


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_run_without_storage_gets_it_when_it_is_resumed(storage: str, tmp_path: Path) -> None:
    bare = load_config(None, [f"output={tmp_path}", "name=run"])
    open_run(bare, resume=False)
    open_run(config(tmp_path, storage), resume=True)
    assert open_store(f"{storage}/run").keys() == ["config.yaml"]


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_what_lies_in_the_runs_folder_has_moved_with_it(storage: str, tmp_path: Path) -> None:
    def inner(place: str) -> RunConfig:
        weights = f"model.path={tmp_path / place}/run/warm/checkpoints/step-00000020/model"
        return config(tmp_path / place, storage, weights)

    open_run(inner("a"), resume=False)
    open_run(inner("b"), resume=True)
    with pytest.raises(ConfigError, match=r"holds a run with model\.path="):
        open_run(config(tmp_path / "c", storage, "model.path=/elsewhere"), resume=True)


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_another_scene_generator_is_told_of_a_stored_run_too(
    storage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_run(config(tmp_path / "a", storage), resume=False)
    store = open_store(f"{storage}/run")
    store.put("config.yaml", store.get("config.yaml").replace(b"scene generator: ", b"other: "))
    with caplog.at_level(logging.WARNING):
        open_run(config(tmp_path / "b", storage), resume=True)
    assert "another scene generator" in caplog.text
