import logging
from pathlib import Path

import pytest

from physrl.config import RunConfig, load_config
from physrl.errors import ConfigError
from physrl.storage.run_folder import open_run, scene_generator_hash, versions


def config(tmp_path: Path, *overrides: str) -> RunConfig:
    return load_config(None, [f"output={tmp_path}", "name=a", *overrides])


def test_new_run_writes_a_configuration_that_loads_again(tmp_path: Path) -> None:
    folder = open_run(config(tmp_path, "seed=3"), resume=False)
    assert folder == tmp_path / "a"
    assert load_config(folder / "config.yaml") == config(tmp_path, "seed=3")
    text = (folder / "config.yaml").read_text()
    assert f"# scene generator: {scene_generator_hash()}\n" in text
    assert "# pybullet: 3." in text


def test_existing_run_is_not_overwritten(tmp_path: Path) -> None:
    open_run(config(tmp_path), resume=False)
    with pytest.raises(
        ConfigError, match="already holds a run: continue it with --resume"
    ) as caught:
        open_run(config(tmp_path), resume=False)
    assert "\n" not in str(caught.value)


def test_resume_without_a_run_starts_one(tmp_path: Path) -> None:
    assert (open_run(config(tmp_path), resume=True) / "config.yaml").exists()


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("seed=1", "seed=0, not 1"),
        ("algorithm.lr=1e-5", r"algorithm.lr=5e-06, not 1e-05"),
        ("algorithm.type=gspo", "algorithm.type=grpo, not gspo"),
        ("warm_start.steps=5", "warm_start=None, not"),
        ("runtime.zero_stage=1", "runtime.zero_stage=0, not 1"),
        ("runtime.learner_ranks=2", "runtime.learner_ranks=1, not 2"),
    ],
)
def test_resume_names_the_first_key_that_differs(
    tmp_path: Path, override: str, complaint: str
) -> None:
    open_run(config(tmp_path), resume=False)
    with pytest.raises(ConfigError, match=complaint) as caught:
        open_run(config(tmp_path, override), resume=True)
    assert "\n" not in str(caught.value)


def test_runtime_and_checkpoints_may_differ(tmp_path: Path) -> None:
    open_run(config(tmp_path), resume=False)
    other = config(tmp_path, "runtime.rollout_workers=7", "checkpoint.every=1")
    assert open_run(other, resume=True) == tmp_path / "a"


def test_moved_run_may_be_resumed(tmp_path: Path) -> None:
    open_run(config(tmp_path / "old"), resume=False)
    (tmp_path / "old").rename(tmp_path / "new")
    assert open_run(config(tmp_path / "new"), resume=True) == tmp_path / "new" / "a"


def test_working_directory_may_be_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Ray unpacks each submission into a folder of its own, where the same text is another path.
    def submitted(package: str, *overrides: str) -> RunConfig:
        (tmp_path / package / "base").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / package)
        return config(tmp_path, *overrides)

    first = submitted("_ray_pkg_1", "model.path=base")
    assert first.model.path == str(tmp_path / "_ray_pkg_1" / "base")
    open_run(first, resume=False)
    assert open_run(submitted("_ray_pkg_2", "model.path=base"), resume=True) == tmp_path / "a"
    (tmp_path / "_ray_pkg_3" / "other").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"model.path=.*_1/base, not .*_3/other"):
        open_run(submitted("_ray_pkg_3", "model.path=other"), resume=True)


def test_other_scene_generator_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = open_run(config(tmp_path), resume=False)
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace(scene_generator_hash(), "0" * 64))
    with caplog.at_level(logging.WARNING):
        open_run(config(tmp_path), resume=True)
    assert "another scene generator" in caplog.text


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/a cannot be written: .*: set output="):
        open_run(config(tmp_path / "file"), resume=False)


def test_versions_are_short_lines() -> None:
    found = versions()
    assert len(found["scene generator"]) == 64
    assert {"numpy", "pybullet"} <= found.keys()
    assert all("\n" not in value for value in found.values())
