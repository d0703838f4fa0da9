"""What killed processes and full disks left in a run's folder does not stop the next one."""

import random
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from physrl.config.load import load_config
from physrl.data.rollout_log import RolloutLog
from physrl.data.rollouts import read_rollouts
from physrl.metrics import read_metrics
from physrl.metrics.writer import MetricsWriter
from physrl.storage.run_folder import open_run
from physrl.types import Offset
from tests.support.damage import damaged
from tests.support.groups import complete
from tests.support.rollouts import rollout_group, write_step

ADVANTAGES = np.array([[1.0]])


def write_steps(folder: Path, *steps: int) -> None:
    writer = MetricsWriter(folder)
    for step in steps:
        writer.write(step, {"reward": step / 2})
    writer.close()


@pytest.mark.parametrize("seed", range(12))
def test_hunted_damaged_event_file_hides_no_later_step(seed: int, tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 2, 3)
    (file,) = tmp_path.glob("events.*")
    draw, data = random.Random(seed), file.read_bytes()
    file.write_bytes(data[: draw.randrange(len(data))] if seed % 2 else damaged(data, draw))
    writer = MetricsWriter(tmp_path)
    writer.truncate_after(3)
    writer.write(4, {"reward": 2.0})
    writer.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    shown = {event.step: event.value for event in events.Scalars("reward")}
    assert shown[4] == 2.0
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(12))
def test_hunted_half_written_rollouts_are_written_again(seed: int, tmp_path: Path) -> None:
    folder, draw = tmp_path / "rollouts", random.Random(seed)
    log = RolloutLog(tmp_path, write_step)
    log.write(1, [complete(rollout_group([Offset(0.5, 1.0)]))], ADVANTAGES)
    path = folder / "step-00000001.parquet"
    data = path.read_bytes()
    (folder / ".step-00000001.parquet").write_bytes(data[: draw.randrange(len(data))])
    path.write_bytes(damaged(data, draw))
    log.write(1, [complete(rollout_group([Offset(1.5, 1.0)]))], ADVANTAGES)
    log.close()
    assert read_rollouts(path)["action_x"].to_pylist() == [1.5]
    assert [each.name for each in folder.iterdir()] == [path.name]


@pytest.mark.parametrize("content", [b"", b"task: pl", b"\xff\xfe"])
def test_hunted_half_written_configuration_does_not_take_the_name(
    content: bytes, tmp_path: Path
) -> None:
    config = load_config(None, [f"output={tmp_path}", "name=mine"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".config.yaml").write_bytes(content)
    folder = open_run(config, resume=False)
    assert load_config(folder / "config.yaml") == config
    assert not (folder / ".config.yaml").exists()
