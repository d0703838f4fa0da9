"""Mistakes in a study, and its plan, before anything starts."""

from pathlib import Path

import pytest

from physrl.config.study import load_study_config
from physrl.evaluation.plan import plan_study
from tests.support.command_line import call, call_refused
from tests.support.paths import CONFIGS
from tests.support.study_files import write_study


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("grid.tasks=[juggle]", "'juggle'"),
        ("grid.methods={reinforce: {}}", "'reinforce'"),
        ("evaluation.test_sets=[iid,dark]", "'dark'"),
        ("grid.seeds=[]", "the grid is empty"),
        ("max_cells=1", "max_cells is 1"),
        ("base.model.path=/nowhere", "/nowhere: "),
        ("base.environment.colors=held_out", "environment.colors is held_out"),
        ("base.output=/proc/none", "/proc/none"),
        ("store=/proc/none", "/proc/none"),
        ("store=ftp://host/x", "ftp://host/x"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, named: str
) -> None:
    assert named in call_refused(capsys, "sweep", "--config", write_study(tmp_path), override)


def test_a_larger_study_than_the_command_line_allows_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("sweep", "--config", write_study(tmp_path), "--dry-run", "--max-cells", 2)
    assert "max_cells is 2" in call_refused(capsys, *arguments)


def test_a_store_of_another_version_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "format.json").write_text('{"format": "physrl-study-0"}')
    line = call_refused(capsys, "sweep", "--config", write_study(tmp_path))
    assert "physrl-study-0" in line


def test_a_dry_run_counts_and_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_study(tmp_path)
    code, printed, _ = call(capsys, "sweep", "--config", path, "--dry-run")
    assert code == 0
    plan = plan_study(load_study_config(path))
    assert f"{len(plan.cells)}" in printed
    assert "GPU hours" in printed
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["smoke", "small", "paper"])
def test_the_studies_that_ship_are_valid(name: str) -> None:
    plan = plan_study(load_study_config(CONFIGS / f"sweep-{name}.yaml"))
    assert plan.name == name
    assert plan.trials
