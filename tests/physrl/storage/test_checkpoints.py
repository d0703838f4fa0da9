import errno
import fcntl
import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from physrl.errors import CheckpointError
from physrl.storage.checkpoints import Checkpoints
from physrl.storage.manifest import verify

STATE = {"policy_version": 7, "cursor": [1, 2]}


def write(folder: Path) -> None:
    for name in ("adapter/adapter_model.safetensors", "learner/state.bin"):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(name.encode() * 100)


def steps(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def test_commit_makes_the_documented_layout(tmp_path: Path) -> None:
    path = Checkpoints(tmp_path, 2).commit(100, STATE, write).path
    assert path == tmp_path / "checkpoints" / "step-00000100"
    manifest = json.loads((path / "MANIFEST.json").read_text())["files"]
    assert sorted(manifest) == [
        "adapter/adapter_model.safetensors",
        "learner/state.bin",
        "state.json",
    ]
    assert manifest["learner/state.bin"]["size"] == 1700
    assert len(manifest["learner/state.bin"]["sha256"]) == 64


def test_latest_returns_path_step_and_state(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, 2)
    assert checkpoints.latest() is None
    checkpoints.commit(20, STATE, write)
    path = checkpoints.commit(100, STATE, write).path
    latest = checkpoints.latest()
    assert latest is not None
    assert (latest.path, latest.step) == (path, 100)
    assert latest.state == {**STATE, "step": 100}


@pytest.mark.parametrize("written", [0, 1, 2])
def test_writer_that_dies_between_files_leaves_no_checkpoint(tmp_path: Path, written: int) -> None:
    def die(folder: Path) -> None:
        for number in range(written):
            (folder / f"{number}.bin").write_bytes(b"x")
        os._exit(1)

    child = os.fork()
    if child == 0:
        Checkpoints(tmp_path, 2).commit(20, STATE, die)
    os.waitpid(child, 0)
    assert steps(tmp_path) == [".partial-step-00000020"]
    assert Checkpoints(tmp_path, 2).latest() is None
    Checkpoints(tmp_path, 2).commit(40, STATE, write)
    assert steps(tmp_path) == ["step-00000040"]


def test_a_writer_that_raises_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise RuntimeError("learner died")

    with pytest.raises(RuntimeError, match="learner died"):
        Checkpoints(tmp_path, 2).commit(20, STATE, fail)
    assert steps(tmp_path) == []


def test_only_the_last_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, 2)
    for step in (20, 40, 60):
        checkpoints.commit(step, STATE, write)
    assert steps(tmp_path) == ["step-00000040", "step-00000060"]


def test_commit_removes_later_steps(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, 1)
    checkpoints.commit(100, STATE, write)
    checkpoints.commit(90, STATE, write)
    assert steps(tmp_path) == ["step-00000090"]


def test_commit_replaces_the_same_step(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, 1)
    checkpoints.commit(20, STATE, write)
    path = checkpoints.commit(20, {"policy_version": 8}, write).path
    verify(path)
    assert json.loads((path / "state.json").read_text())["policy_version"] == 8
    assert steps(tmp_path) == ["step-00000020"]


def flip(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda path: flip(path / "learner/state.bin"), "learner/state.bin"),
        (lambda path: (path / "state.json").unlink(), "state.json is missing"),
        (lambda path: (path / "learner/extra.pkl").touch(), "learner/extra.pkl"),
        (lambda path: (path / "MANIFEST.json").unlink(), "MANIFEST.json is missing"),
        (lambda path: (path / "MANIFEST.json").write_text("{"), "MANIFEST.json"),
        (
            lambda path: (path / "MANIFEST.json").write_text('{"files": {}}'),
            "MANIFEST.json .*state.json",
        ),
    ],
)
def test_a_damaged_checkpoint_is_named_and_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage, named: str
) -> None:
    checkpoints = Checkpoints(tmp_path, 2)
    checkpoints.commit(20, STATE, write)
    newest = checkpoints.commit(40, STATE, write).path
    damage(newest)
    with pytest.raises(CheckpointError, match=named):
        verify(newest)
    latest = checkpoints.latest()
    assert latest is not None
    assert latest.step == 20
    assert re.search(named, caplog.text)


def test_full_disk_is_one_line_with_path_and_remedy(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(CheckpointError) as caught:
        Checkpoints(tmp_path, 2).commit(20, STATE, fill)
    message = str(caught.value)
    assert "step-00000020" in message
    assert "No space left on device" in message
    assert "\n" not in message
    assert steps(tmp_path) == []


def test_a_full_disk_hidden_by_a_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=100))
    with pytest.raises(CheckpointError, match="No space left on device"):
        Checkpoints(tmp_path, 2).commit(20, STATE, fail)


def test_an_error_without_errno_is_one_line(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        raise OSError("Traceback\n  in save\nOSError: link is gone")

    with pytest.raises(CheckpointError, match=r"step-00000020 .*link is gone"):
        Checkpoints(tmp_path, 2).commit(20, STATE, fail)


def test_forbidden_folder_is_one_line_with_path_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(*arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", forbid)
    with pytest.raises(CheckpointError, match=r"step-00000020 .*Permission denied"):
        Checkpoints(tmp_path, 2).commit(20, STATE, write)


def test_second_writer_is_refused(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, 2)
    checkpoints.commit(20, STATE, write)
    handle = os.open(tmp_path / "checkpoints", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(CheckpointError, match=f"{tmp_path}/checkpoints"):
            checkpoints.commit(40, STATE, write)
    finally:
        os.close(handle)
    assert steps(tmp_path) == ["step-00000020"]


def test_keep_last_is_at_least_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep_last is 0"):
        Checkpoints(tmp_path, 0)


def test_a_checkpoint_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"step-00000020 .*output="):
        Checkpoints(tmp_path, 2).commit(20, STATE, lambda folder: None)
    assert Checkpoints(tmp_path, 2).latest() is None


def test_the_best_is_kept_besides_the_last_and_found(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, 1, keep_best=1)
    assert checkpoints.best() is None
    for step, score in ((20, 0.1), (40, 0.9), (60, 0.5), (80, float("nan"))):
        checkpoints.commit(step, {"score": score}, write)
    assert steps(tmp_path) == ["step-00000040", "step-00000080"]
    best, latest = checkpoints.best(), checkpoints.latest()
    assert best is not None
    assert latest is not None
    assert (best.step, latest.step) == (40, 80)
    flip(best.path / "learner/state.bin")
    assert checkpoints.best() is None


def test_without_scores_nothing_is_best(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, 1, keep_best=2)
    for step in (20, 40):
        checkpoints.commit(step, STATE, write)
    assert steps(tmp_path) == ["step-00000040"]
    assert checkpoints.best() is None
