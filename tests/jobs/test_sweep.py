"""A study's mistakes are found before anything starts; its plan and status are shown."""

from pathlib import Path

import pytest
import yaml

from jobs.cli import main
from physrl.config.study import load_study_config
from physrl.evaluation.cells import Trained, open_cell_store
from physrl.evaluation.plan import plan_study
from physrl.evaluation.results import Answer, CellResult
from physrl.evaluation.specs import StudyPlan
from tests.support.paths import CONFIGS, TINY_BASE


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A small study's file; its runs and its store lie beside it."""
    tree = {
        "name": "s",
        "base": {
            "output": str(tmp_path / "runs"),
            "model": {"path": str(TINY_BASE)},
            "warm_start": {"steps": 1},
        },
        "grid": {"tasks": ["place"], "methods": {"grpo": {}}, "seeds": [0]},
        "evaluation": {"tasks": ["place"], "scenes": 2},
        "adaptation": None,
        "probes": None,
        "store": str(tmp_path / "store"),
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def planned(path: Path) -> StudyPlan:
    return plan_study(load_study_config(path))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which the command line refuses, for a user's mistake."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert end.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("grid.tasks=[juggle]", "'juggle' is not a task; choose from stability"),
        ("grid.methods={reinforce: {}}", "method 'reinforce', which is not an algorithm"),
        ("evaluation.test_sets=[iid,dark]", "'dark'"),
        ("grid.seeds=[]", "the grid is empty"),
        ("max_cells=1", "max_cells is 1"),
        ("base.model.path=/nowhere", "/nowhere: there is no such folder"),
        ("base.environment.colors=held_out", "never trained on"),
        ("base.output=/proc/none", "/proc/none"),
        ("store=/proc/none", "/proc/none"),
        ("store=ftp://host/x", "name a folder or s3://bucket/prefix"),
    ],
)
def test_a_mistake_is_one_line(
    study: Path, capsys: pytest.CaptureFixture[str], override: str, message: str
) -> None:
    assert message in refused(capsys, "sweep", "--config", str(study), override)


def test_examples_that_do_not_fit_are_refused(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(
        capsys, "sweep", "--config", str(study), "evaluation.prompting=[{}, {shots: 2}]",
        "base.model.max_prompt_tokens=100",
    )  # fmt: skip
    assert line.startswith("error: model.max_prompt_tokens is 100, but place after 2 examples has")


def test_a_larger_study_than_the_command_line_allows_is_refused(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, "sweep", "--config", str(study), "--dry-run", "--max-cells", "2")
    assert "max_cells is 2" in line


def test_a_store_of_another_version_is_refused(
    study: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "format.json").write_text('{"format": "physrl-study-0"}')
    line = refused(capsys, "sweep", "--config", str(study))
    assert "is of format physrl-study-0" in line


def test_a_model_that_has_vanished_is_refused(
    study: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    trial = planned(study).trials[0]
    store = open_cell_store(str(tmp_path / "store"))
    store.write_trained(Trained(trial.key, trial.name, str(tmp_path / "gone"), 1.0))
    line = refused(capsys, "sweep", "--config", str(study))
    assert f"the model of {trial.name} has vanished" in line
    assert f"delete trained/{trial.key}.json" in line


def test_a_dry_run_counts_and_starts_nothing(
    study: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["sweep", "--config", str(study), "--dry-run"])
    assert not end.value.code
    printed = capsys.readouterr().out
    plan = planned(study)
    assert f"{len(plan.cells)}" in printed
    assert "GPU hours" in printed
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "runs").exists()


def test_the_status_shows_what_is_done_running_and_failed(
    study: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plan = planned(study)
    store = open_cell_store(str(tmp_path / "store"))
    store.save_plan(plan)
    base, physics = (
        next(cell for cell in plan.cells if cell.subject.kind == kind)
        for kind in ("base", "physics")
    )
    right, wrong = (
        Answer("s", "", "1", "1", success, "settled", 1.0, None, None, None, None)
        for success in (True, False)
    )
    store.write_cell(base.key, CellResult(base.condition, (right, wrong, wrong, wrong)))
    store.start(physics.key, "physics")
    store.fail(plan.trials[0].key, plan.trials[0].name, "it fell over", 3)
    with pytest.raises(SystemExit) as end:
        main(["status", str(tmp_path / "store")])
    assert not end.value.code
    printed = capsys.readouterr().out
    assert "25%" in printed
    assert "1 done, 1 running" in printed
    assert "it fell over" in printed
    assert "trained: 0 of 2" in printed


def test_a_store_without_a_study_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "holds no study" in refused(capsys, "status", str(tmp_path))
    assert "does not exist" in refused(capsys, "status", str(tmp_path / "typo"))
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("name", ["smoke", "small", "paper"])
def test_the_studies_of_the_house_are_valid(name: str) -> None:
    plan = plan_study(load_study_config(CONFIGS / f"sweep-{name}.yaml"))
    assert plan.name == name
    assert plan.trials
