from pathlib import Path

import numpy as np
import pytest

from physrl.data.rollout_log import RolloutLog
from physrl.data.rollouts import read_rollouts
from physrl.errors import DataError
from physrl.groups import Group
from physrl.types import Offset
from tests.support.groups import complete
from tests.support.rollouts import rollout_group, write_step

ADVANTAGES = np.array([[1.0]])


def group(x: float) -> Group:
    return complete(rollout_group([Offset(x, 1.0)]))


def answers(folder: Path) -> dict[str, float]:
    files = sorted((folder / "rollouts").glob("*.parquet"))
    return {file.stem: read_rollouts(file)["action_x"][0].as_py() for file in files}


def block_writes(folder: Path) -> Path:
    """Create a file in the place of the rollouts folder, so that nothing can be written."""
    file = folder / "rollouts"
    file.touch()
    return file


def test_each_step_is_a_file(tmp_path: Path) -> None:
    log = RolloutLog(tmp_path, write_step)
    log.write(1, [group(0.5)], ADVANTAGES)
    log.write(2, [group(1.5)], ADVANTAGES)
    log.close()
    assert answers(tmp_path) == {"step-00000001": 0.5, "step-00000002": 1.5}


def test_failed_writes_are_retried_at_the_next_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = RolloutLog(tmp_path, write_step)
    obstacle = block_writes(tmp_path)
    log.write(1, [group(0.5)], ADVANTAGES)
    log.write(2, [group(1.5)], ADVANTAGES)
    obstacle.unlink()
    log.write(3, [group(2.5)], ADVANTAGES)
    assert answers(tmp_path) == {"step-00000001": 0.5, "step-00000002": 1.5, "step-00000003": 2.5}
    (warning,) = caplog.messages
    assert "step-00000001.parquet" in warning


def test_close_writes_pending_steps(tmp_path: Path) -> None:
    log = RolloutLog(tmp_path, write_step)
    obstacle = block_writes(tmp_path)
    log.write(1, [group(0.5)], ADVANTAGES)
    with pytest.raises(DataError, match=r"step-00000001\.parquet"):
        log.close()
    obstacle.unlink()
    log.close()
    assert answers(tmp_path) == {"step-00000001": 0.5}


def test_the_number_of_pending_steps_is_limited(tmp_path: Path) -> None:
    log = RolloutLog(tmp_path, write_step, max_pending=2)
    block_writes(tmp_path)
    log.write(1, [group(0.5)], ADVANTAGES)
    log.write(2, [group(0.5)], ADVANTAGES)
    with pytest.raises(DataError, match=r"step-00000001\.parquet"):
        log.write(3, [group(0.5)], ADVANTAGES)


def test_writing_a_step_again_replaces_it(tmp_path: Path) -> None:
    log = RolloutLog(tmp_path, write_step)
    obstacle = block_writes(tmp_path)
    log.write(1, [group(0.5)], ADVANTAGES)
    log.write(1, [group(9.5)], ADVANTAGES)
    obstacle.unlink()
    log.close()
    assert answers(tmp_path) == {"step-00000001": 9.5}
