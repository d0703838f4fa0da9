"""Mistakes that `physrl baseline` finds before Ray starts."""

from pathlib import Path

import pytest

from tests.support.command_line import call_refused


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("task=juggle", "task is 'juggle'"),
        ("ppo.minibatch=9999", "minibatch 9999"),
        ("evaluation.tasks=[place]", "evaluation.tasks"),
        ("environment.colors=held_out", "environment.colors is held_out"),
        ("output=/proc/none", "/proc/none"),
        ("evaluation.real_images=nowhere", "evaluation.real_images"),
        ("ppo.speed=1", "'ppo.speed'"),
    ],
)
def test_a_mistake_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, override: str, named: str
) -> None:
    assert named in call_refused(capsys, "baseline", f"output={tmp_path}", override)


def test_missing_photographs_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    photos = "evaluation.real_images=nowhere"
    line = call_refused(capsys, "baseline", f"output={tmp_path}", "task=stability", photos)
    assert "nowhere does not exist" in line


def test_an_existing_run_is_resumed_only_with_its_own_settings(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from jobs.baseline import open_baseline
    from physrl.config.baseline import load_baseline_config

    open_baseline(load_baseline_config(None, [f"output={tmp_path}"]), resume=False)
    assert "--resume" in call_refused(capsys, "baseline", f"output={tmp_path}")
    assert "another configuration" in call_refused(
        capsys, "baseline", f"output={tmp_path}", "seed=1", "--resume"
    )
