from pathlib import Path

import pytest

from jobs.checks.study import check, check_trained
from physrl.config.study import load_study_config
from physrl.errors import CheckpointError, ConfigError
from physrl.evaluation.cells import Trained, open_cell_store
from physrl.evaluation.plan import plan_study
from tests.support.study_files import write_study


def test_examples_that_do_not_fit(tmp_path: Path) -> None:
    overrides = ["evaluation.prompting=[{}, {shots: 2}]", "base.model.max_prompt_tokens=100"]
    config = load_study_config(write_study(tmp_path), overrides)
    store = open_cell_store(config.store)
    with pytest.raises(ConfigError, match=r"model\.max_prompt_tokens is 100.* place .*2 examples"):
        check(config, plan_study(config), store)


def test_a_trained_model_that_is_missing(tmp_path: Path) -> None:
    config = load_study_config(write_study(tmp_path))
    plan, store = plan_study(config), open_cell_store(config.store)
    check_trained(plan, store)
    trial = plan.trials[0]
    store.write_trained(Trained(trial.key, trial.name, str(tmp_path / "gone"), 1.0))
    with pytest.raises(CheckpointError, match=rf"{trial.name} .*trained/{trial.key}\.json"):
        check_trained(plan, store)
