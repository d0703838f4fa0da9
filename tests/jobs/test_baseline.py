"""Mistakes about a policy without language are found before Ray starts."""

from pathlib import Path

import pytest

from jobs.cli import main


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["baseline", *arguments])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task=juggle", "task is 'juggle'"),
        ("ppo.minibatch=9999", "has minibatch 9999 but only 512 episodes"),
        ("evaluation.tasks=[place]", "names place, "),
        ("environment.colors=held_out", "never trained on"),
        ("output=/proc/none", "output folder /proc/none"),
        ("evaluation.real_images=nowhere", "but a network for place_x"),
        ("ppo.speed=1", "unknown key 'ppo.speed'"),
    ],
)
def test_a_mistake_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, override: str, message: str
) -> None:
    assert message in refused(capsys, f"output={tmp_path}", override)


def test_missing_photographs_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    photos = "evaluation.real_images=nowhere"
    line = refused(capsys, f"output={tmp_path}", "task=stability", photos)
    assert "photo folder nowhere does not exist" in line


def test_a_run_that_is_there_is_resumed_with_its_own_settings_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from jobs.baseline import open_baseline
    from physrl.config.baseline import load_baseline_config

    open_baseline(load_baseline_config(None, [f"output={tmp_path}"]), resume=False)
    assert "already holds a run" in refused(capsys, f"output={tmp_path}")
    assert "another configuration" in refused(capsys, f"output={tmp_path}", "seed=1", "--resume")
