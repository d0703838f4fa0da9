from pathlib import Path

import pytest

from physrl.config.study import load_study_config
from physrl.errors import ConfigError


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("grid.tasks=[juggle]", "'juggle' is no task"),
        ("grid.tasks=[place+juggle]", "'juggle' is no task"),
        ("grid.methods={reinforce: {}}", "'reinforce', which is no algorithm"),
        ("grid.methods={}", "has no methods: the grid is empty"),
        ("grid.seeds=[1, 1]", "names one of its seeds twice"),
        ("grid.variants={long: {methods: [ppo]}}", "for methods ppo, which the grid has not"),
        ("evaluation.tasks=[juggle]", "evaluation.tasks.0 is 'juggle'"),
        ("evaluation.test_sets=[fog]", "evaluation.test_sets.0 is 'fog'"),
        ("evaluation.test_sets=[real]", "no real_images"),
        ("evaluation.prompting=[{test_sets: [tall]}]", "test set 'tall', which is not among"),
        ("adaptation.steps=[1, 2]", "begin with 0"),
        ("base=missing.yaml", "missing.yaml does not exist"),
        ("base=3", "name a run's file"),
        ("store=ftp://x", "name a folder or s3://bucket/prefix"),
    ],
)
def test_a_mistake_costs_one_line(override: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_study_config(None, [override])
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_study_names_its_runs_file_from_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("seed: 7\nalgorithm: {steps: 3}\n")
    (tmp_path / "study.yaml").write_text("base: run.yaml\nname: mine\n")
    study = load_study_config(tmp_path / "study.yaml", ["base.algorithm.steps=9"])
    assert study.name == "mine"
    assert study.base == {"seed": 7, "algorithm": {"steps": 9}}
