from pathlib import Path

import pytest

from physrl.data.rollout_log import RolloutLog
from physrl.data.rollouts import read_rollouts
from physrl.errors import DataError
from physrl.types import (
    Appearance,
    Attempt,
    Block,
    Camera,
    Completion,
    Offset,
    Outcome,
    Prompt,
    Reward,
    Rollout,
    RolloutGroup,
    SceneSpec,
)


def group(answer: float) -> RolloutGroup:
    scene = SceneSpec(
        seed=0,
        task="place",
        split="train",
        index=17,
        blocks=(Block(0, 0.5, 0, 0, "blue"), Block(2, 0.5, 0, 0, "red")),
        movable=True,
        margin=0.5,
        camera=Camera(0, 3, 7, 1.5, 46),
        appearance=Appearance(light=(0, 4, 3)),
    )
    prompt = Prompt.ask(scene.scene_id, "Where?")
    attempt = Attempt(
        prompt,
        (1, 2),
        Completion("1 2", (4,), (-0.5,), False, 3),
        Offset(answer, 1.0),
        Outcome("settled", True, 1.0, 0.0, 0.0),
    )
    return RolloutGroup(scene, prompt, (Rollout((attempt,), Reward(1.0, {})),))


def answers(folder: Path) -> dict[str, float]:
    files = sorted((folder / "rollouts").glob("*.parquet"))
    return {file.stem: read_rollouts(file)["action_x"][0].as_py() for file in files}


def occupied(folder: Path) -> Path:
    """A file where the folder of rollouts should be: nothing can be written."""
    file = folder / "rollouts"
    file.touch()
    return file


def test_steps_are_files(tmp_path: Path) -> None:
    log = RolloutLog(tmp_path)
    log.write(1, [group(0.5)], [1.0])
    log.write(2, [group(1.5)], [1.0])
    log.close()
    assert answers(tmp_path) == {"step-00000001": 0.5, "step-00000002": 1.5}


def test_what_cannot_be_written_waits_for_the_next_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = RolloutLog(tmp_path)
    obstacle = occupied(tmp_path)
    log.write(1, [group(0.5)], [1.0])
    log.write(2, [group(1.5)], [1.0])
    obstacle.unlink()
    log.write(3, [group(2.5)], [1.0])
    assert answers(tmp_path) == {"step-00000001": 0.5, "step-00000002": 1.5, "step-00000003": 2.5}
    (warning,) = caplog.messages
    assert "step-00000001.parquet cannot be written" in warning
    assert "training goes on" in warning


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    log = RolloutLog(tmp_path)
    obstacle = occupied(tmp_path)
    log.write(1, [group(0.5)], [1.0])
    with pytest.raises(DataError, match=r"step-00000001\.parquet cannot be written"):
        log.close()
    obstacle.unlink()
    log.close()
    assert answers(tmp_path) == {"step-00000001": 0.5}


def test_memory_is_bounded(tmp_path: Path) -> None:
    log = RolloutLog(tmp_path, most_kept=2)
    occupied(tmp_path)
    log.write(1, [group(0.5)], [1.0])
    log.write(2, [group(0.5)], [1.0])
    with pytest.raises(DataError, match=r"step-00000001\.parquet cannot be written"):
        log.write(3, [group(0.5)], [1.0])


def test_a_step_that_is_done_again_replaces_itself(tmp_path: Path) -> None:
    log = RolloutLog(tmp_path)
    obstacle = occupied(tmp_path)
    log.write(1, [group(0.5)], [1.0])
    log.write(1, [group(9.5)], [1.0])
    obstacle.unlink()
    log.close()
    assert answers(tmp_path) == {"step-00000001": 9.5}
