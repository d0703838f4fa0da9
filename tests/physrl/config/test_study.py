from pathlib import Path

import pytest

from physrl.config.study import load_study_config
from physrl.errors import ConfigError


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("grid.tasks=[juggle]", r"grid\.tasks\.0 .*'juggle'.*stability"),
        ("grid.tasks=[place+juggle]", r"grid\.tasks\.0 .*'place\+juggle'.*'juggle'"),
        (
            "grid.methods={reinforce: {}}",
            r"^grid .*'reinforce'.*grpo.*algorithm\.type",
        ),
        ("grid.methods={}", "^grid .*methods"),
        ("grid.seeds=[1, 1]", "^grid .*seeds.*1, 1"),
        ("grid.variants={long: {methods: [ppo]}}", "^grid .*'long'.*methods ppo.*grpo"),
        ("evaluation.tasks=[juggle]", r"^evaluation\.tasks\.0 is 'juggle'"),
        ("evaluation.test_sets=[fog]", r"^evaluation\.test_sets\.0 is 'fog'"),
        ("evaluation.test_sets=[real]", "^evaluation .*'real'.*real_images"),
        ("evaluation.prompting=[{test_sets: [tall]}]", "^evaluation .*'tall'.*test_sets.*iid"),
        ("adaptation.steps=[1, 2]", r"^adaptation\.steps is \[1, 2\]"),
        ("base=missing.yaml", r"missing\.yaml"),
        ("base=3", "^base is 3"),
        ("store=ftp://x", "^store is 'ftp://x'.*s3://"),
    ],
)
def test_a_mistake_costs_one_line(override: str, part: str) -> None:
    with pytest.raises(ConfigError, match=part) as caught:
        load_study_config(None, [override])
    assert "\n" not in str(caught.value)


def test_mistakes_of_a_study_and_of_its_runs_are_told_at_once() -> None:
    given = ["grid.taks=[place]", "base.algorithm.stepps=1", "base.seed=one"]
    with pytest.raises(ConfigError) as caught:
        load_study_config(None, given)
    assert "did you mean grid.tasks?" in str(caught.value)
    assert "'base.algorithm.stepps': did you mean base.algorithm.steps?" in str(caught.value)
    assert "base.seed is 'one'" in str(caught.value)


def test_a_study_names_its_runs_file_from_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("seed: 7\nalgorithm: {steps: 3}\n")
    (tmp_path / "study.yaml").write_text("base: run.yaml\nname: mine\n")
    study = load_study_config(tmp_path / "study.yaml", ["base.algorithm.steps=9"])
    assert study.name == "mine"
    assert study.base == {"seed": 7, "algorithm": {"steps": 9}}
