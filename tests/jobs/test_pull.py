"""`physrl pull` from a folder and from a bucket."""

import json
import shutil
from pathlib import Path

import pytest

from physrl.storage.checkpoints import Checkpoints
from physrl.storage.manifest import verify
from physrl.storage.mirror import RunMirror
from physrl.storage.object_store import open_store
from tests.support.command_line import call, call_refused


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A stored run with checkpoints of steps 20 (the best), 40 and 60."""
    if request.param == "folder":
        place = str(tmp_path / "storage" / "demo")
    else:
        place = f"s3://{request.getfixturevalue('bucket')}/runs/demo"
    run = tmp_path / "original"
    run.mkdir()
    (run / "config.yaml").write_text("seed: 1\n")
    checkpoints = Checkpoints(run, 9)

    def write(folder: Path) -> None:
        (folder / "adapter").mkdir()
        base = {"base_model_name_or_path": "Some/Base"}
        (folder / "adapter" / "adapter_config.json").write_text(json.dumps(base))
        (folder / "adapter" / "adapter_model.safetensors").write_bytes(bytes(5000))

    with RunMirror(run, open_store(place), 9) as mirror:
        for step, score in ((20, 0.9), (40, 0.5), (60, None)):
            state = {} if score is None else {"score": score}
            mirror.checkpoint(checkpoints.commit(step, state, write))
        mirror.wait(60)
    return place


@pytest.mark.parametrize(("step", "expected"), [("latest", 60), ("best", 20), ("40", 40)])
def test_a_checkpoint_is_downloaded_and_explained(
    step: str, expected: int, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "models"
    code, printed, errors = call(capsys, "pull", place, "--step", step, "--out", out)
    assert (code, errors) == (0, "")
    path = out / f"step-{expected:08d}"
    verify(path)
    assert [each.name for each in sorted(out.iterdir())] == ["config.yaml", path.name]
    assert f"checkpoint {path}: step {expected}" in printed
    assert "adapter of Some/Base" in printed
    assert f"PeftModel.from_pretrained(base, '{path}/adapter')" in printed
    assert f"--policy {path}" in printed


def test_checkpoints_are_listed(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store(place)
    store.delete("checkpoints/step-00000060/MANIFEST.json")
    store.put("checkpoints/step-00000040/adapter/adapter_model.safetensors", b"cut")
    code, printed, _ = call(capsys, "pull", place, "--list")
    assert code == 0
    rows = [" ".join(line.replace("│", " ").split()) for line in printed.splitlines()]
    assert any(row.startswith("20 0.0 MB 0.9 yes") for row in rows)
    assert any(row.startswith("40 0.0 MB 0.5 no: adapter/") for row in rows)
    assert any(row.startswith("60 no: MANIFEST.json") for row in rows)


def test_a_damaged_checkpoint_is_refused_by_its_file(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "checkpoints/step-00000060/adapter/adapter_model.safetensors"
    open_store(place).put(key, b"\1" + bytes(4999))
    line = call_refused(capsys, "pull", place, "--out", tmp_path / "out")
    assert f"{place}/checkpoints/step-00000060 is damaged" in line
    assert "adapter/adapter_model.safetensors" in line
    assert not (tmp_path / "out" / "step-00000060").exists()
    open_store(place).delete(key)
    line = call_refused(capsys, "pull", place, "--out", tmp_path / "out")
    assert "adapter_model.safetensors is missing" in line


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_another_checkpoint_is_not_replaced(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    call(capsys, "pull", place, "--out", out)
    code, printed, _ = call(capsys, "pull", place, "--out", out)
    assert code == 0
    assert "already exists" in printed
    (out / "step-00000060" / "state.json").write_text("mine")
    assert f"{out}/step-00000060 already" in call_refused(capsys, "pull", place, "--out", out)
    assert (out / "step-00000060" / "state.json").read_text() == "mine"


@pytest.mark.parametrize("place", ["folder"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--step", "30"], "step 30: "),
        (["--step", "newest"], "--step is 'newest': choose latest, best, or one of 20, 40, 60"),
        (["--out", "{file}"], "'--out'"),
        (["--out", "{file}/below"], "/below cannot be written: Not a directory"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    named: str,
    place: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    given = [text.format(file=tmp_path / "file") for text in arguments]
    assert named in call_refused(capsys, "pull", place, *given)


def test_places_without_a_run(
    tmp_path: Path, bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for location, named in (
        (tmp_path / "nowhere", "nowhere is not a folder"),
        (tmp_path, f"{tmp_path} holds no complete checkpoint"),
        (f"s3://{bucket}/x", "/x holds no complete checkpoint"),
        ("s3://no-such-bucket/x", "bucket 'no-such-bucket' does not exist"),
        ("http://x/y", "'http://x/y'"),
    ):
        for more in ([], ["--list"]):
            assert named in call_refused(capsys, "pull", location, *more)
    assert not (tmp_path / "nowhere").exists()


def test_a_best_needs_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = Checkpoints(tmp_path / "run", 1).commit(
        20, {}, lambda folder: (folder / "x").touch()
    )
    shutil.copytree(checkpoint.path, tmp_path / "kept" / "checkpoints" / checkpoint.path.name)
    line = call_refused(capsys, "pull", tmp_path / "kept", "--step", "best")
    assert line.endswith("choose --step latest, or one of 20")
