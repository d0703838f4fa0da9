"""Mistakes in a study, and its plan, before anything starts."""

import re
from collections import Counter
from pathlib import Path

import pytest

from jobs.sweep import plan_further, rate_facts
from physrl.config.study import load_study_config
from physrl.evaluation.cells import Trained, open_cell_store
from physrl.evaluation.plan import plan_study
from physrl.evaluation.selection import make_selection
from physrl.evaluation.trials import TrialSpec, make_trials
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
    assert "No GPU is configured" in printed
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("sweep-*.yaml")), ids=lambda path: path.stem)
def test_the_studies_that_ship_pass_a_dry_run(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed, _ = call(capsys, "sweep", "--config", path, "--dry-run")
    assert code == 0
    assert f"{path.stem.removeprefix('sweep-')}: cost of the study" in printed
    # Without GPUs, as in the smoke study, there are no hours.
    row = re.search(r"all\s*│\s*([0-9]+)\s*│(?:\s*([0-9.,]+))?", printed)
    assert row is not None
    assert int(row[1]) > 100
    assert (row[2] is None) == (path.stem == "sweep-smoke")
    if path.stem == "sweep-core":
        assert 400 < float(row[2]) < 600


def test_the_core_study_isolates_interaction_with_the_same_effort_for_each() -> None:
    config = load_study_config(CONFIGS / "sweep-core.yaml")
    trials = make_trials(config, {})
    assert {trial.method for trial in trials} == {
        "grpo", "gspo", "rejection", "sft", "sft_samples", "observer", "grpo_yoked", "grpo_random",
        "warm_start", "sft_shuffled",
    }  # fmt: skip
    assert {trial.seed for trial in trials} == {0, 1, 2, 3, 4}
    tried = Counter(trial.method for trial in make_selection(config))
    assert tried == dict.fromkeys(("grpo", "gspo", "rejection", "sft"), 3 * len(config.grid.tasks))


def test_ranks_beyond_keep_the_scale_of_adapters() -> None:
    trials = make_trials(load_study_config(CONFIGS / "sweep-beyond.yaml"), {})
    loras = {trial.variant: trial.config.model.lora for trial in trials}
    scales = {name: lora.alpha / lora.rank for name, lora in loras.items() if lora is not None}
    assert scales.pop("alpha_64") == 4
    assert set(scales.values()) == {1}
    assert len({lora.rank for lora in loras.values() if lora is not None}) == 4
    left_out = {frozenset(t.config.tasks) for t in trials if t.variant == "leave_one_out"}
    assert {len(tasks) for tasks in left_out} == {3}
    assert len(left_out) == 4


def test_keys_that_methods_do_not_take_are_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ("grid.methods={grpo: {}, sft: {}}", "base.algorithm={lr: 0.01, group_size: 4}")
    _, printed, _ = call(
        capsys, "sweep", "--config", write_study(tmp_path), "--dry-run", *overrides
    )
    (line,) = [line for line in printed.splitlines() if "base.algorithm" in line]
    assert "sft: group_size" in line
    assert "grpo" not in line


def test_a_dry_run_counts_the_runs_that_choose_rates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = "grid.selection.rates={grpo: [0.1, 0.2, 0.3]}"
    _, printed, _ = call(capsys, "sweep", "--config", write_study(tmp_path), "--dry-run", rates)
    (row,) = [line for line in printed.splitlines() if "rates" in line]
    assert "3" in row


def test_a_study_is_planned_anew_once_its_rates_are_known(tmp_path: Path) -> None:
    rates = "grid.selection.rates={grpo: [0.1, 0.2]}"
    config = load_study_config(write_study(tmp_path), [rates])
    plan, store = plan_study(config), open_cell_store(config.store)
    low, high = plan.selection

    def finish(trial: TrialSpec, accuracy: float) -> None:
        rows = ({"step": 1.0, "validation/place/accuracy": accuracy},)
        store.write_trained(Trained(trial.key, trial.name, "nowhere", 1.0, rows))

    finish(low, 0.25)
    assert plan_further(config, plan, store) is plan
    finish(high, 0.5)
    chosen = plan_further(config, plan, store)
    assert {trial.config.algorithm.lr for trial in plan.trials if trial.method == "grpo"} == {0.1}
    assert {trial.config.algorithm.lr for trial in chosen.trials if trial.method == "grpo"} == {0.2}
    assert chosen.selection == plan.selection
    assert not {t.key for t in plan.trials} & {t.key for t in chosen.trials if t.method == "grpo"}
    assert rate_facts(chosen, store) == {
        "learning rate of grpo for base": "0.2 (validation: 25.0% with 0.1, 50.0% with 0.2)"
    }


def test_a_rate_that_failed_is_not_waited_for(tmp_path: Path) -> None:
    config = load_study_config(write_study(tmp_path), ["grid.selection.rates={grpo: [0.1, 0.2]}"])
    plan, store = plan_study(config), open_cell_store(config.store)
    low, high = plan.selection
    rows = ({"step": 1.0, "validation/place/accuracy": 0.0},)
    store.write_trained(Trained(low.key, low.name, "nowhere", 1.0, rows))
    store.fail(high.key, high.name, "diverged", tries=3)
    chosen = plan_further(config, plan, store)
    assert {trial.config.algorithm.lr for trial in chosen.trials if trial.method == "grpo"} == {0.1}


def test_a_study_is_planned_anew_once_its_form_warm_up_has_ended(tmp_path: Path) -> None:
    overrides = ["form_warm_up={steps: 2}", "grid.selection.rates={grpo: [0.1, 0.2]}"]
    config = load_study_config(write_study(tmp_path), overrides)
    plan, store = plan_study(config), open_cell_store(config.store)
    (form,) = plan.form
    assert plan_further(config, plan, store) is plan
    checkpoint = tmp_path / "step-2"
    store.write_trained(Trained(form.key, form.name, str(checkpoint), 1.0))
    begun = plan_further(config, plan, store)
    assert begun.form == plan.form
    runs = [trial.config for trial in (*begun.selection, *begun.trials)]
    path = next(iter(plan.bases.values())).model.path
    assert {run.model.path for run in runs} == {str(checkpoint / "model")} != {path}
    assert not {trial.key for trial in begun.selection} & {t.key for t in plan.selection}

    for trial, accuracy in zip(begun.selection, (0.5, 0.25), strict=True):
        rows = ({"step": 1.0, "validation/place/accuracy": accuracy},)
        store.write_trained(Trained(trial.key, trial.name, "nowhere", 1.0, rows))
    chosen = plan_further(config, begun, store)
    assert {trial.config.algorithm.lr for trial in chosen.trials if trial.method == "grpo"} == {0.1}
    assert {trial.config.model.path for trial in chosen.trials} == {str(checkpoint / "model")}
    assert plan_further(config, plan, store) == chosen
