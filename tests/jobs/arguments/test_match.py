from pathlib import Path

import pytest

from jobs.arguments.match import Match, matched
from physrl.config import RunConfig
from physrl.config.load import validate
from physrl.errors import ConfigError
from physrl.metrics.writer import MetricsWriter
from physrl.storage.run_folder import open_run

SFT = {"type": "sft", "lr": 3e-4}


def finished_run(folder: Path, steps: int, **algorithm: object) -> Path:
    table = {"type": "gspo", "steps": 9, "prompts_per_step": 6, "group_size": 4, **algorithm}
    config = validate(
        {
            "output": str(folder),
            "name": "rl",
            "seed": 5,
            "model": {"reasoning": True, "max_prompt_tokens": 200},
            "algorithm": table,
        }
    )
    open_run(config, resume=False)
    writer = MetricsWriter(config.folder)
    for step in range(steps):
        writer.write(step + 1, {"loss": 0.0})
    writer.close()
    return config.folder


def sft(folder: Path) -> RunConfig:
    return validate({"output": str(folder), "name": "sft", "algorithm": SFT})


def test_scenes_or_samples_are_matched_in_as_many_updates(tmp_path: Path) -> None:
    run = finished_run(tmp_path, steps=7, updates_per_rollout=2)
    for by, prompts in ((Match.SCENES, 6), (Match.SAMPLES, 24)):
        config = matched(sft(tmp_path), run, by)
        assert config.seed == 5
        assert config.name == "sft"
        assert config.model.reasoning
        assert config.model.max_prompt_tokens == 200
        assert config.algorithm.type == "sft"
        assert config.algorithm.lr == 3e-4
        assert config.algorithm.steps == 7  # those that were done, of nine
        assert config.algorithm.updates_per_rollout == 2
        assert config.algorithm.prompts_per_step == prompts


def test_runs_that_cannot_be_matched_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"--match is {tmp_path}: .*config\.yaml"):
        matched(sft(tmp_path), tmp_path, Match.SCENES)
    run = finished_run(tmp_path, steps=0)
    with pytest.raises(ConfigError, match=f"--match is {run}: "):
        matched(sft(tmp_path), run, Match.SCENES)
    with pytest.raises(ConfigError, match=r"set algorithm\.type=sft"):
        matched(validate({"output": str(tmp_path)}), run, Match.SCENES)
    other = sft(tmp_path)
    open_run(other, resume=False)
    with pytest.raises(ConfigError, match=f"--match is {other.folder}: .*SFT"):
        matched(other, other.folder, Match.SCENES)
