"""`physrl pull` from a folder and from a bucket."""

import json
import shutil
from pathlib import Path

import pytest

from physrl.config.study import load_study_config
from physrl.evaluation.cells import Trained, open_cell_store
from physrl.evaluation.plan import plan_study
from physrl.evaluation.trial_runs import trial_config
from physrl.storage.checkpoints import Checkpoints
from physrl.storage.manifest import verify, write_manifest
from physrl.storage.mirror import RunMirror
from physrl.storage.object_store import open_store
from tests.support.command_line import call, call_refused
from tests.support.study_files import write_study


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


@pytest.mark.parametrize("place", ["folder"], indirect=True)
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("MANIFEST.json", b"[" * 100_000),
        ("MANIFEST.json", b'{"files": {"state.json": {"size": Infinity, "sha256": "0"}}}'),
        ("state.json", b'{"score": ' + b"[" * 100_000),
        ("state.json", b'{"score": 1' + b"0" * 400 + b"}"),
    ],
)
def test_hostile_files_in_a_bucket_are_refused(
    name: str, data: bytes, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_store(place).put(f"checkpoints/step-00000060/{name}", data)
    code, _, errors = call(capsys, "pull", place, "--list")
    assert (code, errors) == (0, "")
    line = call_refused(capsys, "pull", place, "--step", "60", "--out", tmp_path / "out")
    assert "60" in line


@pytest.mark.parametrize("place", ["folder"], indirect=True)
@pytest.mark.parametrize("link", ["", "adapter", "adapter/adapter_model.safetensors", "state.json"])
def test_links_in_the_destination_are_not_followed(
    link: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    partial = tmp_path / "out" / ".partial-step-00000060"
    outside = tmp_path / "outside"
    outside.mkdir()
    target = outside if link in ("", "adapter") else outside / "precious"
    (partial / link).parent.mkdir(parents=True)
    (partial / link).symlink_to(target)
    code, _, errors = call(capsys, "pull", place, "--out", tmp_path / "out")
    assert (code, errors) == (0, "")
    verify(tmp_path / "out" / "step-00000060")
    assert not list(outside.iterdir())


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_control_characters_do_not_reach_the_terminal(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The base's name clears the screen, sets a title, and turns the direction of writing."""
    name = "a\x1b[2J\x1b]0;pwned\x07\u202eb\rc"
    folder = Path(place) / "checkpoints" / "step-00000060"
    config = folder / "adapter" / "adapter_config.json"
    config.write_text(json.dumps({"base_model_name_or_path": name}))
    write_manifest(folder)
    code, printed, errors = call(capsys, "pull", place, "--out", tmp_path / "out")
    assert (code, errors) == (0, "")
    assert "\\x1b[2J" in printed
    assert all(line.isprintable() for line in printed.splitlines())
    line = call_refused(capsys, "pull", f"{tmp_path}/{name}")
    assert line.isprintable()


@pytest.fixture(params=["folder", "bucket"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The store of a study of two trials, of which the first is in storage with two checkpoints."""
    if request.param == "folder":
        root = str(tmp_path / "storage")
    else:
        root = f"s3://{request.getfixturevalue('bucket')}"
    config = load_study_config(
        write_study(tmp_path), [f"base.storage={root}/runs", f"store={root}/study"]
    )
    plan = plan_study(config)
    store = open_cell_store(config.store)
    store.save_plan(plan)
    trained = next(subject for subject in plan.subjects if subject.kind == "trained")
    store.write_trained(Trained(trained.key, trained.name, "/a/folder/elsewhere", 1.0))
    run = trial_config(plan, trained, tmp_path / "s")
    assert run.stored == f"{root}/runs/s/trials/{trained.name}"
    checkpoints = Checkpoints(run.folder, 9)
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "config.yaml").write_text("seed: 1\n")
    with RunMirror(run.folder, open_store(run.stored), 9) as mirror:
        for step, score in ((20, 0.9), (40, 0.5)):
            commit = checkpoints.commit(
                step, {"score": score}, lambda path: (path / "weights").write_bytes(bytes(50))
            )
            mirror.checkpoint(commit)
        mirror.wait(60)
    return config.store


def test_a_studys_trials_are_listed_and_pulled(
    study: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = open_store(study).keys()
    code, printed, errors = call(capsys, "pull", study, "--list")
    assert (code, errors) == (0, "")
    rows = [line.replace("│", " ").split() for line in printed.splitlines()]
    (row,) = [row for row in rows if "trained" in row]
    name, key = row[:2]
    assert row[2:] == ["trained", "20,", "40", "20"]
    for trial, step in ((name, "best"), (key, "20")):
        out = tmp_path / trial
        code, printed, errors = call(
            capsys, "pull", study, "--trial", trial, "--step", step, "--out", out
        )
        assert (code, errors) == (0, "")
        verify(out / "step-00000020")
        assert (out / "config.yaml").read_text() == "seed: 1\n"
    assert open_store(study).keys() == before  # a reader needs no right to write


@pytest.mark.parametrize("study", ["folder"], indirect=True)
def test_trials_that_are_not_there(study: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = open_cell_store(study).plans()[0].trials[0].name
    other = open_cell_store(study).plans()[0].trials[1].name
    for arguments, named in (
        ([], "--list"),
        (["--trial", name[:-1]], name),
        (["--trial", ""], "--trial"),
        (["--trial", other], other),
    ):
        assert named in call_refused(capsys, "pull", study, *arguments)


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_run_has_no_trials(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--trial" in call_refused(capsys, "pull", place, "--trial", "x")
