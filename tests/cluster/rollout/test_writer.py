"""The writer: rollouts and queued steps, by reference, and errors of the disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from cluster.rollout.queued_steps import load_queued_steps, queued_step
from cluster.rollout.writer import RolloutWriter
from cluster.runtime.event_loop import EventLoop
from physrl.config.runtime import RuntimeConfig
from physrl.data.rollouts import encode_rollouts, read_rollouts
from physrl.errors import DataError
from physrl.groups import GroupState
from physrl.tracing import Trace
from physrl.types import Offset
from tests.support.rollouts import rollout_group

RECORDS = [rollout_group([Offset(x, 1.0), Offset(x, 2.0)]) for x in (0.5, 1.5)]


@pytest.fixture(scope="module")
def writer(ray_cluster: None, event_loop_thread: EventLoop) -> Iterator[RolloutWriter]:
    writer = RolloutWriter(RuntimeConfig(), event_loop_thread, Trace())
    yield writer
    writer.stop()


def test_parts_of_a_step_are_one_file(writer: RolloutWriter, tmp_path: Path) -> None:
    parts = [ray.put(encode_rollouts([record], [1.0, -1.0], 3)) for record in RECORDS]
    path = tmp_path / "rollouts" / "step-00000003.parquet"
    writer.write(path, parts)
    table = read_rollouts(path)
    assert table["action_x"].to_pylist() == [0.5, 0.5, 1.5, 1.5]
    assert table["advantage"].to_pylist() == [1.0, -1.0, 1.0, -1.0]


def test_an_unwritable_folder_is_the_users_to_mend(writer: RolloutWriter, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    part = ray.put(encode_rollouts(RECORDS, [0.0] * 4, 1))
    with pytest.raises(DataError, match=r"file/a\.parquet") as caught:
        writer.write(tmp_path / "file" / "a.parquet", [part])
    assert type(caught.value) is DataError


def test_queued_steps_are_saved(writer: RolloutWriter, tmp_path: Path) -> None:
    states = [ray.put(GroupState(index, record, ())) for index, record in enumerate(RECORDS)]
    writer.save_queued_step(tmp_path, 4, states)
    assert load_queued_steps(tmp_path) == {4: queued_step(RECORDS)}
    with pytest.raises(OSError, match="missing"):
        writer.save_queued_step(tmp_path / "missing", 4, states)
