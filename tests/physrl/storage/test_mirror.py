"""The mirror of a run in storage, through faults of the storage."""

import errno
import logging
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from physrl.config import load_config
from physrl.errors import StorageError
from physrl.storage import mirror as mirrors
from physrl.storage.checkpoint_writer import RunTakenError
from physrl.storage.checkpoints import Checkpoints
from physrl.storage.mirror import RunMirror, open_mirror
from physrl.storage.object_store import open_store
from physrl.storage.restore import restore
from physrl.storage.run_folder import open_run
from physrl.storage.stored_checkpoints import list_checkpoints
from tests.support.checkpoints import commit
from tests.support.paths import ROOT

LONG = 60.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "LONGEST_DELAY_S", 0.1)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with the files that are stored besides checkpoints."""
    run = tmp_path / "run"
    for name in ("rollouts/step-1.parquet", "evaluation/base.json", "events.out.1", "config.yaml"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_bytes(name.encode())
    (run / "metrics.jsonl").write_text('{"step": 1}\n')
    (run / ".hidden").touch()
    (run / "warm").mkdir()
    (run / "warm" / "config.yaml").touch()
    return run


def stored(place: str) -> list[int]:
    return [each.step for each in list_checkpoints(open_store(place)) if not each.problem]


def test_a_configuration_without_storage_has_no_mirror(tmp_path: Path) -> None:
    assert open_mirror(load_config(None, [f"output={tmp_path}"])) is None


def test_a_configured_run_is_stored_under_its_name(tmp_path: Path) -> None:
    config = load_config(None, [f"output={tmp_path}/runs", "name=a", f"storage={tmp_path}/kept"])
    config.folder.mkdir(parents=True)
    mirror = open_mirror(config)
    assert mirror is not None
    with mirror:
        mirror.checkpoint(commit(config.folder, 20))
        mirror.wait(LONG)
    assert (tmp_path / "kept" / "a" / "checkpoints" / "step-00000020" / "MANIFEST.json").exists()


def test_all_files_of_a_run_are_stored(place: str, run: Path) -> None:
    with RunMirror(run, open_store(place), 2) as mirror:
        mirror.checkpoint(commit(run, 20))
        mirror.wait(LONG)
        (run / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
        mirror.sync()
        mirror.wait(LONG)
        assert mirror.metrics()["storage/uploads"] == 1
        assert mirror.metrics()["storage/pending"] == 0
        assert mirror.metrics()["storage/failures"] == 0
    store = open_store(place)
    others = [key for key in store.entries() if not key.startswith(("checkpoints/", "."))]
    assert others == [
        "config.yaml",
        "evaluation/base.json",
        "events.out.1",
        "metrics.jsonl",
        "rollouts/step-1.parquet",
    ]
    assert store.get("metrics.jsonl") == b'{"step": 1}\n{"step": 2}\n'
    assert stored(place) == [20]
    assert not (run / ".uploading").exists()


def test_only_changed_files_are_uploaded_again(bucket: str, network: Any, run: Path) -> None:
    for _ in range(2):  # the second process lists the stored files
        with RunMirror(run, open_store(f"s3://{bucket}/run"), 2) as mirror:
            for _ in range(3):
                mirror.sync()
                mirror.wait(LONG)
        for path in run.rglob("*"):  # S3 stores whole seconds
            os.utime(path, (1e9, 1e9)) if path.is_file() else None
    assert network.sent("PUT", "rollouts/") == 1
    (run / "rollouts" / "step-1.parquet").write_bytes(b"rollouts/STEP-1.PARQUET")
    with RunMirror(run, open_store(f"s3://{bucket}/run"), 2) as mirror:
        mirror.sync()
        mirror.wait(LONG)
    assert network.sent("PUT", "rollouts/") == 2
    assert network.sent("PUT", "evaluation/") == 1


def test_a_checkpoint_outlives_its_deletion_until_it_is_uploaded(
    bucket: str, network: Any, run: Path
) -> None:
    network.fail("503 SlowDown", "PUT", "learner.bin", times=6)
    with RunMirror(run, open_store(f"s3://{bucket}/run"), 2) as mirror:
        checkpoint = commit(run, 20)
        mirror.checkpoint(checkpoint)
        shutil.rmtree(checkpoint.path)
        mirror.wait(LONG)
        assert mirror.metrics()["storage/failures"] >= 1
    assert stored(f"s3://{bucket}/run") == [20]


def test_a_failed_upload_is_a_warning_and_is_retried(
    bucket: str, network: Any, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network.fail("500 InternalError", "PUT", times=10**6)
    with RunMirror(run, open_store(f"s3://{bucket}/run"), 2) as mirror:
        with caplog.at_level(logging.WARNING):
            mirror.checkpoint(commit(run, 20))
            with pytest.raises(StorageError) as caught:
                mirror.wait(1)
        message = str(caught.value)
        assert all(part in message for part in ("step-00000020", "InternalError", "--resume"))
        assert "\n" not in message
        assert "InternalError" in caplog.text
        assert mirror.metrics()["storage/pending"] == 1
        network.faults.clear()
        mirror.checkpoint(commit(run, 40))
        mirror.wait(LONG)
        assert mirror.metrics()["storage/uploads"] == 2
    assert stored(f"s3://{bucket}/run") == [20, 40]


def test_no_more_checkpoints_wait_than_would_be_kept(bucket: str, network: Any, run: Path) -> None:
    network.fail("500 InternalError", "PUT", times=10**6)
    with RunMirror(run, open_store(f"s3://{bucket}/run"), 2, keep_best=1) as mirror:
        for step, score in ((10, 0.1), (20, 0.9), (30, 0.2), (40, 0.3), (50, 0.1)):
            mirror.checkpoint(commit(run, step, score))
            with pytest.raises(StorageError):
                mirror.wait(0.3)
        assert mirror.metrics()["storage/pending"] <= 4  # one may be uploading
        network.faults.clear()
        mirror.wait(LONG)
    assert stored(f"s3://{bucket}/run") == [20, 40, 50]


def test_a_server_that_is_killed_and_restarted(
    bucket: str, network: Any, seaweed_server: Any, run: Path
) -> None:
    network.fail("kill server", "PUT", "learner.bin")
    with RunMirror(run, open_store(f"s3://{bucket}/run"), 2) as mirror:
        mirror.checkpoint(commit(run, 20))
        try:
            with pytest.raises(StorageError, match="step-00000020"):
                mirror.wait(2)
        finally:
            seaweed_server.start()
        mirror.wait(LONG)
    assert stored(f"s3://{bucket}/run") == [20]


def test_a_silent_server_blocks_nothing(bucket: str, network: Any, run: Path) -> None:
    network.fail("silent", "PUT", times=10**6)
    mirror = RunMirror(run, open_store(f"s3://{bucket}/run"), 2)
    mirror.checkpoint(commit(run, 20))
    with pytest.raises(StorageError, match=r"step-00000020.* 0 seconds"):
        mirror.wait(0.2)
    mirror.close()
    assert mirror.metrics()["storage/pending"] == 1
    network.faults.clear()


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_process_that_lost_the_run_is_told_and_keeps_training(
    place: str, run: Path, tmp_path: Path
) -> None:
    with (
        RunMirror(run, open_store(place), 2) as old,
        RunMirror(tmp_path / "other", open_store(place), 2) as new,
    ):
        old.sync()
        old.wait(LONG)
        new.checkpoint(commit(tmp_path / "other", 20))
        new.wait(LONG)
        old.checkpoint(commit(run, 20))
        with pytest.raises(RunTakenError, match="another process"):
            old.wait(LONG)
        old.checkpoint(commit(run, 40))
        old.sync()
        assert not list((run / ".uploading").glob("*/*"))
    assert stored(place) == [20]


def test_a_process_that_lost_the_run_overwrites_no_metrics(
    place: str, run: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "metrics.jsonl").write_text("of the successor")
    with (
        RunMirror(run, open_store(place), 2) as old,
        RunMirror(other, open_store(place), 2) as new,
    ):
        for mirror in (old, new):
            mirror.sync()
            mirror.wait(LONG)
        (run / "metrics.jsonl").write_text("of a process that does not know yet")
        old.sync()
        with pytest.raises(RunTakenError, match="another process"):
            old.wait(LONG)
    assert open_store(place).get("metrics.jsonl") == b"of the successor"


def test_a_run_killed_during_an_upload_is_resumed_elsewhere(
    bucket: str, network: Any, tmp_path: Path
) -> None:
    code = """
import sys
from pathlib import Path
from physrl.storage.checkpoint_writer import RunTakenError
from physrl.storage.checkpoints import Checkpoints
from physrl.storage.mirror import RunMirror
from physrl.storage.object_store import open_store
run = Path(sys.argv[1])
mirror = RunMirror(run, open_store(sys.argv[2]), 2)
for step in (20, 40):
    write = lambda folder: (folder / "learner.bin").write_bytes(bytes(20 * 2**20))
    mirror.checkpoint(Checkpoints(run, 2).commit(step, {}, write))
    mirror.wait(600)
"""
    place = f"s3://{bucket}/run"
    network.fail("silent", "PUT", "step-00000040/learner.bin?", times=10**6)
    command = [sys.executable, "-c", code, str(tmp_path / "old"), place]
    with subprocess.Popen(command, cwd=ROOT) as driver:
        while not network.sent("PUT", "step-00000040/learner.bin?"):
            assert driver.poll() is None
            time.sleep(0.02)
        driver.kill()
    network.faults.clear()
    elsewhere = tmp_path / "new"
    restored = restore(open_store(place), elsewhere)
    assert restored is not None
    assert restored.step == 20
    with RunMirror(elsewhere, open_store(place), 2) as mirror:
        mirror.checkpoint(restored)
        mirror.checkpoint(commit(elsewhere, 40))
        mirror.wait(LONG)
    assert stored(place) == [20, 40]
    client: Any = open_store(place)
    assert "Uploads" not in client._client.list_multipart_uploads(Bucket=bucket)


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_full_disk_at_the_snapshot_is_survived(
    place: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = commit(run, 20)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with RunMirror(run, open_store(place), 2) as mirror:
        monkeypatch.setattr(shutil, "copytree", full)
        mirror.checkpoint(checkpoint)
        mirror.wait(LONG)
    assert stored(place) == [20]
    assert checkpoint.path.exists()


def test_a_full_storage_is_named(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    checkpoint = commit(run, 20)
    with RunMirror(run, open_store(str(tmp_path / "full")), 2) as mirror:
        monkeypatch.setattr("physrl.storage.folder_store.os.fsync", full)
        mirror.checkpoint(checkpoint)
        with pytest.raises(StorageError, match="No space left on device"):
            mirror.wait(0.5)
        monkeypatch.undo()
        mirror.wait(LONG)
    assert stored(str(tmp_path / "full")) == [20]


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_file_systems_without_hard_links_get_copies(
    place: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = commit(run, 20)
    with RunMirror(run, open_store(f"{place}"), 2) as mirror:
        link = os.link

        def refuse(source: Any, target: Any, **options: Any) -> None:
            if ".uploading" in str(target):
                raise OSError(errno.EPERM, os.strerror(errno.EPERM))
            link(source, target, **options)

        monkeypatch.setattr(os, "link", refuse)
        mirror.checkpoint(checkpoint)
        shutil.rmtree(checkpoint.path)
        mirror.wait(LONG)
    assert stored(place) == [20]


def test_a_run_is_restored_into_another_folder(place: str, run: Path, tmp_path: Path) -> None:
    with RunMirror(run, open_store(place), 2) as mirror:
        mirror.checkpoint(commit(run, 20))
        mirror.checkpoint(commit(run, 40))
        mirror.wait(LONG)
    other = tmp_path / "elsewhere"
    checkpoint = restore(open_store(place), other)
    assert checkpoint is not None
    assert (checkpoint.step, checkpoint.state["policy_version"]) == (40, 40)
    latest = Checkpoints(other, 2).latest()
    assert latest is not None
    assert latest.path == checkpoint.path == other / "checkpoints" / "step-00000040"
    assert (other / "metrics.jsonl").read_bytes() == (run / "metrics.jsonl").read_bytes()
    assert (other / "rollouts" / "step-1.parquet").exists()


def test_no_secret_in_dump_log_pickle_or_bucket(
    bucket: str,
    network: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = load_config(None, [f"output={tmp_path}", f"storage=s3://{bucket}/runs", "name=a"])
    store = open_store(f"s3://{bucket}")
    network.fail("403 AccessDenied", "PUT", "learner.bin", times=2)
    with caplog.at_level(logging.INFO):
        open_run(config, resume=False)
        mirror = open_mirror(config)
        assert mirror is not None
        with mirror:
            mirror.checkpoint(commit(config.folder, 20))
            mirror.wait(60)
    assert "AccessDenied" in caplog.text
    kept = [pickle.dumps(config), pickle.dumps(store), caplog.text.encode()]
    kept += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    kept += [store.get(key) for key in store.entries()]
    assert len(kept) > 10
    for secret in (b"a-secret-of-the-tests", b"tester"):
        assert not any(secret in data for data in kept)
