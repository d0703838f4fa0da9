from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs import pull
from jobs.arguments.policy_place import short_name, split_bucket
from jobs.arguments.run_config import load_beside
from physrl.config import load_config
from physrl.config.load import dump_yaml
from physrl.config.model import ModelConfig
from physrl.evaluation.measurements import Measurement, Measurements
from physrl.evaluation.results import CellResult
from physrl.evaluation.run_cells import policy_subject, run_cells
from physrl.storage.checkpoints import Checkpoints
from tests.support.answers import make_answer
from tests.support.command_line import call, call_refused
from tests.support.models import write_model_config


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        ("runs/demo/checkpoints/step-00000060/model", "demo_step-00000060"),
        ("/far/runs/demo/checkpoints/step-00000060", "demo_step-00000060"),
        ("assets/tiny-base", "assets_tiny-base"),
        ("Qwen/Qwen2.5-VL-3B-Instruct", "Qwen_Qwen2.5-VL-3B-Instruct"),
        ("../x", "x"),
    ],
)
def test_a_policys_short_name(policy: str, name: str) -> None:
    assert short_name(policy) == name


@pytest.mark.parametrize(
    ("policy", "run", "step"),
    [
        ("s3://bucket/runs/demo", "s3://bucket/runs/demo", "latest"),
        ("s3://bucket/runs/demo/", "s3://bucket/runs/demo", "latest"),
        ("s3://bucket/runs/demo/checkpoints/step-00000060", "s3://bucket/runs/demo", "60"),
        ("s3://bucket/demo/checkpoints/step-00000006/model", "s3://bucket/demo", "6"),
    ],
)
def test_a_policy_in_a_bucket_is_a_run_and_a_step(policy: str, run: str, step: str) -> None:
    assert split_bucket(policy) == (run, step)


def finished_run(folder: Path, *overrides: str) -> Path:
    """Write a run whose checkpoint is measured; its base is not on this machine."""
    run = folder / "runs" / "mine"
    step = run / "checkpoints" / "step-00000002"
    write_model_config(step / "model")
    config = load_config(
        None,
        [f"output={run.parent}", "name=mine", "model.path=./gone", "evaluation.tasks=[place_x]"],
    )
    (run / "config.yaml").write_text(dump_yaml(config))
    given = load_config(run / "config.yaml", overrides)
    model = ModelConfig(path=str(step / "model"))
    store = Measurements(run)
    for cell in run_cells(given, policy_subject("grpo", model), ()):
        index = cell.condition.test_set == "tall"
        result = CellResult(cell.condition, (make_answer(0, bool(index)),))
        store.save(Measurement(cell, result, {}))
    return step


def test_what_was_measured_is_found_again_without_engines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = "evaluation.test_sets=[iid,tall]"
    step = finished_run(tmp_path, sets)
    files = sorted(path.name for path in (tmp_path / "runs/mine/evaluation").iterdir())
    code, printed, error = call(capsys, "evaluate", "--policy", step, "--name", "me", sets)
    assert (code, error) == (0, "")
    assert all(part in printed for part in ("mine: iid", "mine: tall", " me ", "1 of 1", "0 of 1"))
    assert "without the base" in printed
    assert sorted(path.name for path in (tmp_path / "runs/mine/evaluation").iterdir()) == files


def test_settings_that_are_not_the_runs_are_told_with_the_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ["environment.num_blocks=[5,6]", "seed=3"]
    step = finished_run(tmp_path, *overrides)
    _, printed, _ = call(capsys, "evaluate", "--policy", step, *overrides)
    assert "other settings than the run's: seed=3 environment.num_blocks=[5, 6]" in printed
    finished_run(tmp_path)
    _, printed, _ = call(capsys, "evaluate", "--policy", step)
    assert "other settings" not in printed


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("evaluation.test_sets=[tall,tall]", "evaluation.test_sets"),
        ("evaluation.test_sets=[]", "evaluation.test_sets"),
        ("evaluation.test_sets=[short]", "evaluation.test_sets"),
        ("evaluation.test_sets=[real]", "real_images"),
    ],
)
def test_mistaken_sets_are_named(
    override: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = finished_run(tmp_path)
    assert named in call_refused(capsys, "evaluate", "--policy", step, override)


def test_a_set_that_changes_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = finished_run(tmp_path)
    overrides = ["environment.camera=held_out", "evaluation.test_sets=[camera]"]
    assert "'camera'" in call_refused(capsys, "evaluate", "--policy", step, *overrides)


def test_the_place_of_a_checkpoints_run_may_be_overridden(tmp_path: Path) -> None:
    step = finished_run(tmp_path)
    file = tmp_path / "runs" / "mine" / "config.yaml"
    assert load_beside(step, file, []).folder == tmp_path / "runs" / "mine"
    elsewhere = load_beside(step, file, [f"output={tmp_path}", "name=other"])
    assert elsewhere.folder == tmp_path / "other"


def commit(run: Path, step: int, score: float | None) -> None:
    """Write a checkpoint of a run, whose model is that of the finished one."""
    state = {} if score is None else {"score": score}
    Checkpoints(run, 5).commit(step, state, lambda folder: write_model_config(folder / "model"))


def test_a_run_stands_for_its_best_checkpoint_or_else_its_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_run(tmp_path)
    run = tmp_path / "runs" / "mine"
    assert "without a complete checkpoint" in call_refused(capsys, "evaluate", "--policy", run)
    for step in (3, 4):
        commit(run, step, None)
    code, printed, _ = call(capsys, "evaluate", "--policy", run)
    assert code == 0
    assert "the last checkpoint of" in printed
    assert "mine_step-00000004" in printed
    commit(run, 5, 0.9)
    commit(run, 6, 0.1)
    code, printed, _ = call(capsys, "evaluate", "--policy", run)
    assert code == 0
    assert "the best (score 0.9) checkpoint of" in printed
    assert "mine_step-00000005" in printed


def test_a_policy_in_a_bucket_is_downloaded_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = finished_run(tmp_path)
    asked: list[tuple[str, str]] = []

    def fetch(run: str, trial: None, which: str, out: None) -> SimpleNamespace:
        asked.append((run, which))
        return SimpleNamespace(path=step)

    monkeypatch.setattr(pull, "fetch", fetch)
    place = "s3://bucket/runs/mine/checkpoints/step-00000002"
    code, printed, _ = call(capsys, "evaluate", "--policy", place)
    assert code == 0
    assert asked == [("s3://bucket/runs/mine", "2")]
    assert "mine_step-00000002" in printed
