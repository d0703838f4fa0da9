"""`physrl pull`: a run's checkpoint from a folder or a bucket, whole or refused by the file."""

import json
import shutil
from pathlib import Path

import pytest

from jobs import cli
from jobs.checks import run as preflight
from jobs.pull import describe
from physrl.config import load_config
from physrl.errors import StorageError, UserError
from physrl.storage.checkpoints import Checkpoints
from physrl.storage.folder_store import FolderStore
from physrl.storage.manifest import verify
from physrl.storage.mirror import RunMirror
from physrl.storage.object_store import open_store
from physrl.storage.stored_checkpoints import StoredCheckpoint


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


def pull(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as exit:
        cli.main(["pull", *map(str, arguments)])
    said = capsys.readouterr()
    return int(exit.value.code or 0), said.out, said.err


@pytest.mark.parametrize(("step", "expected"), [("latest", 60), ("best", 20), ("40", 40)])
def test_a_checkpoint_comes_whole_and_is_explained(
    step: str, expected: int, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "models"
    code, said, complaint = pull(capsys, place, "--step", step, "--out", out)
    assert (code, complaint) == (0, "")
    path = out / f"step-{expected:08d}"
    verify(path)
    assert [one.name for one in sorted(out.iterdir())] == ["config.yaml", path.name]
    assert f"checkpoint {path}: step {expected}" in said
    assert "adapter of Some/Base" in said
    assert f"PeftModel.from_pretrained(base, '{path}/adapter')" in said
    assert f"--policy {path}" in said


def test_a_base_of_the_clusters_is_named_as_it_is_here(tmp_path: Path) -> None:
    adapter = tmp_path / "step" / "adapter"
    adapter.mkdir(parents=True)
    base = {"base_model_name_or_path": "/gone/_ray_pkg_1/assets/tiny-base"}
    (adapter / "adapter_config.json").write_text(json.dumps(base))
    stored = StoredCheckpoint(1, "runs/mine", {}, None, "")
    config = tmp_path / "config.yaml"
    config.write_text("# working directory: /gone/_ray_pkg_1\nseed: 1\n")
    said = describe(adapter.parent, stored, config)
    assert f"adapter of assets/tiny-base: {adapter}" in said
    assert said[-1].endswith(f"--policy {adapter.parent} model.path=assets/tiny-base")
    config.write_text("# working directory: /another\n")
    said = describe(adapter.parent, stored, config)
    assert f"adapter of /gone/_ray_pkg_1/assets/tiny-base: {adapter}" in said
    assert said[-1].endswith(f"--policy {adapter.parent}")


def test_what_is_there_is_listed(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store(place)
    store.delete("checkpoints/step-00000060/MANIFEST.json")
    store.put("checkpoints/step-00000040/adapter/adapter_model.safetensors", b"cut")
    code, said, _ = pull(capsys, place, "--list")
    assert code == 0
    rows = [" ".join(line.replace("│", " ").split()) for line in said.splitlines()]
    assert any(row.startswith("20 0.0 MB 0.9 yes") for row in rows)
    assert any(row.startswith("40 0.0 MB 0.5 no: adapter/") for row in rows)
    assert any(row.startswith("60 no: MANIFEST.json is missing") for row in rows)


def test_a_damaged_checkpoint_is_refused_by_its_file(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "checkpoints/step-00000060/adapter/adapter_model.safetensors"
    open_store(place).put(key, b"\1" + bytes(4999))
    code, _, complaint = pull(capsys, place, "--out", tmp_path / "out")
    assert code == 2
    assert complaint == (
        f"error: checkpoint {place}/checkpoints/step-00000060 is damaged: "
        "adapter/adapter_model.safetensors differs from its manifest: choose another step\n"
    )
    assert not (tmp_path / "out" / "step-00000060").exists()
    open_store(place).delete(key)
    code, _, complaint = pull(capsys, place, "--out", tmp_path / "out")
    assert code == 2
    assert "adapter_model.safetensors is missing: choose another step\n" in complaint


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_the_same_again_is_there_already_and_another_is_not_replaced(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    pull(capsys, place, "--out", out)
    code, said, _ = pull(capsys, place, "--out", out)
    assert code == 0
    assert "is there already, and whole" in said
    (out / "step-00000060" / "state.json").write_text("mine")
    code, _, complaint = pull(capsys, place, "--out", out)
    assert code == 2
    assert "is there already and is not this checkpoint, or is damaged: choose another" in complaint
    assert (out / "step-00000060" / "state.json").read_text() == "mine"


@pytest.mark.parametrize("place", ["folder"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--step", "30"], "holds no complete checkpoint of step 30: choose latest, best, or one"),
        (["--step", "newest"], "--step is 'newest': choose latest, best, or one of 20, 40, 60"),
        (["--out", "{file}"], "'--out'"),
        (["--out", "{file}/below"], "/below cannot be written: Not a directory"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    message: str,
    place: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    given = [text.format(file=tmp_path / "file") for text in arguments]
    code, _, complaint = pull(capsys, place, *given)
    assert code == 2
    assert message in complaint
    assert complaint.count("\n") == 1


def test_places_that_hold_no_run(
    tmp_path: Path, bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for location, message in (
        (tmp_path / "nowhere", "nowhere is no folder: name a run's, or s3://bucket/prefix/run"),
        (tmp_path, "holds no complete checkpoint: name the folder of a run, such as s3://"),
        (f"s3://{bucket}/x", "/x holds no complete checkpoint: name the folder of a run"),
        ("s3://no-such-bucket/x", "bucket 'no-such-bucket' does not exist at http://127"),
        ("http://x/y", "the run is 'http://x/y': name a folder or s3://bucket/prefix"),
    ):
        for more in ([], ["--list"]):
            code, _, complaint = pull(capsys, location, *more)
            assert code == 2
            assert message in complaint
            assert complaint.count("\n") == 1
    assert not (tmp_path / "nowhere").exists()


def test_a_best_needs_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = Checkpoints(tmp_path / "run", 1).commit(
        20, {}, lambda folder: (folder / "x").touch()
    )
    shutil.copytree(checkpoint.path, tmp_path / "kept" / "checkpoints" / checkpoint.path.name)
    code, _, complaint = pull(capsys, tmp_path / "kept", "--step", "best")
    assert code == 2
    assert "has a score: choose --step latest, or one of 20\n" in complaint


# Storage is looked at before anything slow starts


def test_good_storage_is_left_as_it_was(bucket: str, tmp_path: Path) -> None:
    for place in (f"s3://{bucket}/runs/demo", str(tmp_path / "kept" / "demo")):
        preflight.check_storage(place)
        assert open_store(place).keys() == []


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (None, "", "bucket 'no-such-bucket' does not exist"),
        ("AWS_SECRET_ACCESS_KEY", "wrong", r"refuses these credentials \(SignatureDoesNotMatch\)"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "does not answer"),
    ],
)
def test_bad_storage_is_one_line_of_train(
    variable: str | None,
    value: str,
    message: str,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("physrl.storage.s3.ATTEMPTS", 1)
    if variable is not None:
        monkeypatch.setenv(variable, value)
    place = f"s3://{bucket if variable else 'no-such-bucket'}/runs"
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    config = load_config(
        None, [f"output={tmp_path}/runs", f"storage={place}", f"model.path={model}"]
    )
    with pytest.raises(StorageError, match=message) as caught:
        preflight.check(config)
    assert "\n" not in str(caught.value)


def test_storage_that_ignores_conditions_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderStore, "create", lambda self, key, data: True)
    with pytest.raises(UserError, match=r"ignores conditions on writes \(If-None-Match\)"):
        preflight.check_storage(str(tmp_path / "kept"))
