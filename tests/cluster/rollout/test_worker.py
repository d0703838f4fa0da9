"""Examples and parts of a step, which workers make of complete groups; without Ray."""

from pathlib import Path

import numpy as np
import pytest

from cluster.learner.rank import merged
from cluster.rollout.worker import RolloutWorker
from physrl.algorithms.batch import rollout_batch
from physrl.data.rollouts import read_rollouts, write_file, write_manifest
from physrl.errors import DataError
from physrl.groups import GroupState
from tests.support.groups import record_of

RECORDS = [record_of([1.0, -1.0]), record_of([0.5, 2.0]), record_of([-3.0, 0.0])]
STATES = [GroupState(index, record, ()) for index, record in enumerate(RECORDS)]
ADVANTAGES = np.array([[0.5, -0.5], [1.0, 2.0], [3.0, 4.0]])


@pytest.fixture(scope="module")
def worker() -> RolloutWorker:
    return RolloutWorker()


def test_batches_of_parts_are_the_batch_of_the_step(worker: RolloutWorker) -> None:
    count, first = worker.examples(ADVANTAGES[:2], *STATES[:2])
    _, last = worker.examples(ADVANTAGES[2:], *STATES[2:])
    assert count == 4
    assert merged([first, last]) == rollout_batch(RECORDS, ADVANTAGES)


def test_a_worker_writes_a_part_into_the_steps_folder(
    worker: RolloutWorker, tmp_path: Path
) -> None:
    size = worker.write(tmp_path / "a.parquet", 7, ADVANTAGES, *STATES)
    assert size == (tmp_path / "a.parquet").stat().st_size
    write_manifest(tmp_path, ["a.parquet"])
    table = read_rollouts(tmp_path)
    assert table["advantage"].to_pylist() == ADVANTAGES.ravel().tolist()
    assert table["reward"].to_pylist() == [1.0, -1.0, 0.5, 2.0, -3.0, 0.0]


def test_a_worker_without_the_folder_encodes_the_part_for_others(
    worker: RolloutWorker, tmp_path: Path
) -> None:
    assert worker.write(tmp_path / "elsewhere" / "a.parquet", 7, ADVANTAGES, *STATES) == 0
    write_file(tmp_path / "a.parquet", worker.encode(7, ADVANTAGES, *STATES))
    write_manifest(tmp_path, ["a.parquet"])
    assert read_rollouts(tmp_path)["step"].to_pylist() == [7] * 6


def test_a_part_that_cannot_be_written_is_an_error(worker: RolloutWorker, tmp_path: Path) -> None:
    (tmp_path / ".a.parquet").mkdir()  # in the place of the partial file
    with pytest.raises(DataError, match=r"a\.parquet"):
        worker.write(tmp_path / "a.parquet", 7, ADVANTAGES, *STATES)
