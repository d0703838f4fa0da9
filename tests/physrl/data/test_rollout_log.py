from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from physrl.data.rollout_log import Advantages, RolloutLog
from physrl.data.rollouts import (
    encode_rollouts,
    read_rollouts,
    write_file,
    write_manifest,
    writing,
)
from physrl.errors import DataError
from physrl.groups import Group
from physrl.types import Offset
from tests.support.groups import complete
from tests.support.rollouts import rollout_group

ADVANTAGES = np.ones((1, 1))


def group(x: float) -> Group:
    return complete(rollout_group([Offset(x, 1.0)]))


def write_here(folder: Path, groups: Sequence[Group], advantages: Advantages, step: int) -> None:
    """Write a step in this process."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    records = [each.read() for each in groups]
    write_file(folder / "a.parquet", encode_rollouts(records, advantages.ravel().tolist(), step))
    write_manifest(folder, ["a.parquet"])


def answers(folder: Path) -> dict[str, float]:
    steps = sorted((folder / "rollouts").iterdir())
    return {step.name: read_rollouts(step)["action_x"][0].as_py() for step in steps}


def block_writes(folder: Path) -> Path:
    """Create a file in the place of the rollouts folder, so that nothing can be written."""
    file = folder / "rollouts"
    file.touch()
    return file


def test_each_step_is_a_folder(tmp_path: Path) -> None:
    log = RolloutLog(tmp_path, write_here)
    log.write(1, [group(0.5)], ADVANTAGES)
    log.write(2, [group(1.5)], ADVANTAGES)
    log.close()
    assert answers(tmp_path) == {"step-00000001": 0.5, "step-00000002": 1.5}


def test_failed_writes_are_retried_at_the_next_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = RolloutLog(tmp_path, write_here)
    obstacle = block_writes(tmp_path)
    log.write(1, [group(0.5)], ADVANTAGES)
    log.write(2, [group(1.5)], ADVANTAGES)
    obstacle.unlink()
    log.write(3, [group(2.5)], ADVANTAGES)
    assert answers(tmp_path) == {"step-00000001": 0.5, "step-00000002": 1.5, "step-00000003": 2.5}
    (warning,) = caplog.messages
    assert "step-00000001" in warning


def test_close_writes_pending_steps(tmp_path: Path) -> None:
    log = RolloutLog(tmp_path, write_here)
    obstacle = block_writes(tmp_path)
    log.write(1, [group(0.5)], ADVANTAGES)
    with pytest.raises(DataError, match="step-00000001"):
        log.close()
    obstacle.unlink()
    log.close()
    assert answers(tmp_path) == {"step-00000001": 0.5}


def test_the_number_of_pending_steps_is_limited(tmp_path: Path) -> None:
    log = RolloutLog(tmp_path, write_here, max_pending=2)
    block_writes(tmp_path)
    log.write(1, [group(0.5)], ADVANTAGES)
    log.write(2, [group(0.5)], ADVANTAGES)
    with pytest.raises(DataError, match="step-00000001"):
        log.write(3, [group(0.5)], ADVANTAGES)


def test_writing_a_step_again_replaces_it(tmp_path: Path) -> None:
    log = RolloutLog(tmp_path, write_here)
    obstacle = block_writes(tmp_path)
    log.write(1, [group(0.5)], ADVANTAGES)
    log.write(1, [group(9.5)], ADVANTAGES)
    obstacle.unlink()
    log.close()
    assert answers(tmp_path) == {"step-00000001": 9.5}
