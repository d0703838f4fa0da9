"""Several processes that write one run: one wins, and its checkpoints are complete."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from physrl.errors import StorageError
from physrl.storage.checkpoint_download import download
from physrl.storage.checkpoint_writer import CheckpointWriter, RunTakenError
from physrl.storage.manifest import verify
from physrl.storage.object_store import no_progress, open_store
from physrl.storage.stored_checkpoints import list_checkpoints
from tests.support.checkpoints import commit


def complete_steps(place: str, folder: Path) -> dict[int, bytes]:
    """Download and verify all stored checkpoints, and read their learners' bytes by step."""
    store = open_store(place)
    found = {}
    for each in list_checkpoints(store):
        path = download(store, each, folder, no_progress)
        verify(path)
        found[each.step] = (path / "learner.bin").read_bytes()
    return found


def test_a_commit_makes_the_same_tree(place: str, tmp_path: Path) -> None:
    checkpoint = commit(tmp_path / "run", 20, 0.5)
    store = open_store(place)
    CheckpointWriter(store, 2).commit(20, checkpoint.path)
    files = [path for path in checkpoint.path.rglob("*") if path.is_file()]
    names = sorted(str(path.relative_to(tmp_path / "run")) for path in files)
    assert store.keys("checkpoints/") == names
    for path in files:
        assert store.get(str(path.relative_to(tmp_path / "run"))) == path.read_bytes()
    (listed,) = list_checkpoints(store)
    assert (listed.step, listed.score, listed.problem) == (20, 0.5, "")
    assert listed.size == sum(path.stat().st_size for path in files if path.name[0] != "M")


def test_the_manifest_comes_last(bucket: str, network: Any, tmp_path: Path) -> None:
    CheckpointWriter(open_store(f"s3://{bucket}/run"), 2).commit(
        20, commit(tmp_path / "run", 20).path
    )
    written = [path for method, path, _ in network.requests if method == "PUT"]
    assert "MANIFEST.json" in written[-1]
    assert sum("MANIFEST.json" in path for path in written) == 1


def test_a_repeated_commit_writes_nothing(bucket: str, network: Any, tmp_path: Path) -> None:
    checkpoint = commit(tmp_path / "run", 20)
    CheckpointWriter(open_store(f"s3://{bucket}/run"), 2).commit(20, checkpoint.path)
    before = network.sent("PUT", "checkpoints/")
    CheckpointWriter(open_store(f"s3://{bucket}/run"), 2).commit(20, checkpoint.path)
    assert network.sent("PUT", "checkpoints/") == before


def test_a_writer_that_lost_the_run_changes_nothing(place: str, tmp_path: Path) -> None:
    old, new = (CheckpointWriter(open_store(place), 1) for _ in range(2))
    old.commit(20, commit(tmp_path / "old", 20).path)
    new.commit(40, commit(tmp_path / "new", 40).path)
    for use in (
        lambda: old.commit(60, commit(tmp_path / "old", 60).path),
        lambda: old.commit(40, commit(tmp_path / "old", 40).path),
        lambda: old.prune(60),
    ):
        with pytest.raises(RunTakenError, match=place) as caught:
            use()
        assert "\n" not in str(caught.value)
    new.prune(40)
    assert complete_steps(place, tmp_path / "back") == {40: f"{tmp_path / 'new'} 40".encode() * 100}


def test_of_several_concurrent_writers_one_wins(place: str, tmp_path: Path) -> None:
    names = [f"writer-{number}" for number in range(4)]
    paths = [commit(tmp_path / name, 20).path for name in names]
    writers = [CheckpointWriter(open_store(place), 1) for _ in names]
    for writer in writers:
        writer.take_over()
    start = threading.Barrier(len(names))
    lost: list[str] = []

    def write(name: str, writer: CheckpointWriter, path: Path) -> None:
        start.wait()
        try:
            writer.commit(20, path)
        except RunTakenError:
            lost.append(name)

    threads = [
        threading.Thread(target=write, args=each)
        for each in zip(names, writers, paths, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lost) == names[:-1]
    won = f"{tmp_path / names[-1]} 20".encode() * 100
    assert complete_steps(place, tmp_path / "back") == {20: won}


def test_a_successor_during_a_commit_wins(bucket: str, network: Any, tmp_path: Path) -> None:
    place = f"s3://{bucket}/run"
    old, new = (CheckpointWriter(open_store(place), 1) for _ in range(2))
    mine, theirs = commit(tmp_path / "old", 20), commit(tmp_path / "new", 20)
    old.take_over()
    send = old._send

    def taken_over_meanwhile(path: Path, key: str, name: str) -> str:
        if name == "learner.bin":
            new.commit(20, theirs.path)
        return send(path, key, name)

    old._send = taken_over_meanwhile  # type: ignore[method-assign]
    with pytest.raises(RunTakenError):
        old.commit(20, mine.path)
    won = f"{tmp_path / 'new'} 20".encode() * 100
    assert complete_steps(place, tmp_path / "back") == {20: won}


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_checkpoint_of_the_same_step_is_replaced(place: str, tmp_path: Path) -> None:
    writer = CheckpointWriter(open_store(place), 2)
    writer.commit(20, commit(tmp_path / "a", 20).path)
    writer.commit(20, commit(tmp_path / "b", 20).path)
    assert complete_steps(place, tmp_path / "back") == {20: f"{tmp_path / 'b'} 20".encode() * 100}


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_the_last_and_the_best_are_kept_and_later_steps_deleted(place: str, tmp_path: Path) -> None:
    store = open_store(place)
    writer = CheckpointWriter(store, 2, keep_best=1)
    for step, score in ((10, 0.9), (20, 0.1), (30, None), (40, 0.2), (50, 0.3)):
        writer.commit(step, commit(tmp_path / "run", step, score).path)
        writer.prune(step)
    assert [each.step for each in list_checkpoints(store)] == [10, 40, 50]
    writer.commit(20, commit(tmp_path / "run", 20, 0.1).path)
    writer.prune(20)  # a resumed run repeats steps 40 and 50
    assert [each.step for each in list_checkpoints(store)] == [10, 20]
    assert all("step-00000010" in key or "step-00000020" in key for key in store.keys("check"))


def test_a_failed_upload_is_resumed(bucket: str, network: Any, tmp_path: Path) -> None:
    writer = CheckpointWriter(open_store(f"s3://{bucket}/run"), 2)
    checkpoint = commit(tmp_path / "run", 20)
    network.fail("500 InternalError", "PUT", "MANIFEST", times=5)
    with pytest.raises(StorageError, match="InternalError"):
        writer.commit(20, checkpoint.path)
    assert list_checkpoints(open_store(f"s3://{bucket}/run"))[0].problem == (
        "MANIFEST.json is missing"
    )
    before = network.sent("PUT", "learner.bin")
    writer.commit(20, checkpoint.path)
    assert network.sent("PUT", "learner.bin") == before == 1
    verify(checkpoint.path)
    assert 20 in complete_steps(f"s3://{bucket}/run", tmp_path / "back")


def test_a_manifest_whose_response_is_lost_is_no_lost_race(
    bucket: str, network: Any, tmp_path: Path
) -> None:
    network.fail("lost answer", "PUT", "MANIFEST")
    writer = CheckpointWriter(open_store(f"s3://{bucket}/run"), 2)
    writer.commit(20, commit(tmp_path / "run", 20).path)
    assert 20 in complete_steps(f"s3://{bucket}/run", tmp_path / "back")


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_the_owner_is_recorded_by_host_and_process(place: str) -> None:
    store = open_store(place)
    CheckpointWriter(store, 1).take_over()
    assert json.loads(store.get(".writer")).keys() == {"id", "host", "pid"}
