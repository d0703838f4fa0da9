"""The tutorial's configuration and overrides are valid."""

import re
import shlex
from pathlib import Path

import pytest

from jobs.checks import run as checks
from physrl.config import load_config
from physrl.config.study import load_study_config
from physrl.config.verbs import check_training
from physrl.errors import ConfigError
from physrl.evaluation.plan import plan_study
from tests.support.paths import ROOT

MISTAKES = (["algorithm.lr=fast"], ["algorithm.learning_rate=1e-4"])
TEXT = (ROOT / "docs" / "tutorial.md").read_text()


def commands(verb: str) -> list[list[str]]:
    """Find the arguments of a verb's commands, with the lines that a backslash continues."""
    joined = TEXT.replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(rf"^\$? ?physrl {verb} (.+)$", joined, re.M)]


def overrides(arguments: list[str]) -> list[str]:
    return [one for one in arguments if re.match(r"[a-z_.]+=", one)]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    path = tmp_path / "first.yaml"
    path.write_text(block)
    monkeypatch.chdir(ROOT)
    return path


def test_the_runs_configuration_passes_the_checks(config: Path, tmp_path: Path) -> None:
    valid = []
    for given in map(overrides, commands("train")):
        if given in MISTAKES:
            with pytest.raises(ConfigError, match=given[0].partition("=")[0]):
                load_config(config, given)
        else:
            valid.append(load_config(config, [*given, f"output={tmp_path}"]))
    assert [run.name for run in valid] == ["first", "second", "second", "second"]
    check_training(valid[0].environment)
    checks.check(valid[0])
    (evaluation,) = commands("evaluate")
    assert load_config(config, overrides(evaluation)).evaluation.scenes == 64


def test_the_study_has_the_trials_and_cells_that_are_shown() -> None:
    (arguments,) = commands("sweep")
    study = plan_study(load_study_config(ROOT / arguments[1], overrides(arguments)))
    assert (len(study.trials), len(study.cells)) == (4, 36)
    more = [*overrides(arguments), "grid.seeds=[0,1]"]
    study = plan_study(load_study_config(ROOT / arguments[1], more))
    assert (len(study.trials), len(study.cells)) == (8, 52)
