"""A run that is stored under a place is found again under every spelling that is accepted."""

import subprocess
import sys
from pathlib import Path

import pytest

from physrl.config.load import load_config
from physrl.config.study import load_study_config
from physrl.errors import ConfigError
from physrl.evaluation.cells import open_cell_store
from physrl.evaluation.plan import plan_study
from physrl.storage.mirror import RunMirror
from physrl.storage.object_store import open_store
from physrl.storage.run_folder import open_run
from tests.support.checkpoints import commit
from tests.support.command_line import call, call_refused
from tests.support.paths import ROOT
from tests.support.study_files import write_study


def spellings(place: str) -> list[str]:
    """List spellings of a place that are accepted."""
    if not place.startswith("s3://"):
        return [
            place,
            f"{place}/",
            place.replace("/", "//"),
            f"{place}/.",
            f" {place}",
            f"file://{place}",
        ]
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    wide = prefix.replace("/", "//")
    return [
        place,
        f"{place}/",
        f"{place}//",
        f"S3://{bucket}/{prefix}",
        f"s3://{bucket}//{wide}/./",
    ]


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "storage" / "deep")
    return f"s3://{request.getfixturevalue('bucket')}/storage/deep"


def test_hunted_run_is_found_under_every_spelling(
    root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = spellings(root)
    common = ["name=mine", "checkpoint.every=5"]
    config = load_config(None, [*common, f"output={tmp_path / 'runs'}", f"storage='{others[-1]}'"])
    open_run(config, resume=False)
    with RunMirror(config.folder, open_store(str(config.stored)), 2) as mirror:
        mirror.checkpoint(commit(config.folder, 5))
        mirror.wait(60)
    for number, text in enumerate([first, *others]):
        code, printed, _ = call(capsys, "pull", f"{text}/mine", "--list")
        assert (code, "5" in printed) == (0, True), text
        elsewhere = [f"output={tmp_path / str(number)}", f"storage='{text}'"]
        again = load_config(None, [*common, *elsewhere])
        with pytest.raises(ConfigError, match="--resume"):
            open_run(again, resume=False)
        open_run(again, resume=True)
        assert (again.folder / "checkpoints" / "step-00000005").is_dir()
    monkeypatch.chdir(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"runs", "storage", *"012345"}


def test_hunted_make_pulls_under_every_spelling(
    tmp_path: Path, seaweedfs: dict[str, str], bucket: str
) -> None:
    run = tmp_path / "runs" / "mine"
    run.mkdir(parents=True)
    checkpoint = commit(run, 5)
    with RunMirror(run, open_store(f"s3://{bucket}/runs/mine"), 2) as mirror:
        mirror.checkpoint(checkpoint)
        mirror.wait(60)
    for number, text in enumerate([f"s3://{bucket}/runs/", f" S3://{bucket}//runs"]):
        out = tmp_path / str(number)
        variables = [f"STORAGE={text}", "RUN=mine", f"OUT={out}", f"CLIENT={sys.prefix}/bin"]
        subprocess.run(
            ["make", "--old-file=client", "pull-checkpoint", *variables],
            cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
        assert (out / "step-00000005" / "MANIFEST.json").is_file(), text


def test_hunted_study_is_found_under_every_spelling(
    root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = spellings(root)
    study = load_study_config(write_study(tmp_path), [f"store='{others[-1]}'"])
    assert study.store == root
    open_cell_store(study.store).save_plan(plan_study(study))
    for text in (first, *others):
        code, printed, errors = call(capsys, "status", text)
        assert (code, errors) == (0, ""), text
        assert "trained: 0 of" in printed


@pytest.mark.parametrize(
    "command",
    [
        ["pull", "s3:/b/runs/mine"],
        ["pull", "gs://b/runs/mine"],
        ["pull", "s3://bucket/runs/mine", "--out", "s3://bucket/out"],
        ["status", "S3:/b"],
        ["status", "https://h/x"],
        ["preview", "place", "--out", "s3://bucket/sheet.png"],
        ["report", "s3://bucket/runs/mine"],
        ["collect", "out=s3:b/x"],
        ["train", "--config", "jobs/configs/demo.yaml", "output=s3://bucket/runs"],
        ["train", "--config", "jobs/configs/demo.yaml", "--match", "s3://bucket/runs/mine"],
        ["train", "--config", "jobs/configs/demo.yaml", "storage=s3:/bucket"],
        ["sweep", "--config", "jobs/configs/sweep-smoke.yaml", "store=s3:bucket/x"],
        ["baseline", "output=s3://bucket/runs"],
        ["evaluate", "--config", "jobs/configs/demo.yaml", "--policy", "s3://bucket/runs/mine"],
    ],
    ids=" ".join,
)
def test_hunted_wrong_place_ends_a_command_with_one_line(
    command: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = set(ROOT.iterdir())
    assert ":" in call_refused(capsys, *command)
    assert set(ROOT.iterdir()) == before
