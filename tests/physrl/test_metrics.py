import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from physrl.errors import DataError
from physrl.metrics import MetricsWriter, read_metrics


def write_steps(folder: Path, *steps: int) -> None:
    writer = MetricsWriter(folder)
    for step in steps:
        writer.write(step, {"reward": step / 2})
    writer.close()


def rewards(folder: Path) -> list[tuple[int, float]]:
    return [(row["step"], row["reward"]) for row in read_metrics(folder)]


def test_lines_hold_step_time_and_metrics(tmp_path: Path) -> None:
    write_steps(tmp_path / "run", 1, 2)
    assert rewards(tmp_path / "run") == [(1, 0.5), (2, 1.0)]
    first, second = read_metrics(tmp_path / "run")
    assert 0 < first["time"] <= second["time"]
    assert list((tmp_path / "run").glob("events.out.tfevents.*"))


def test_reopened_run_is_continued(tmp_path: Path) -> None:
    write_steps(tmp_path, 1)
    write_steps(tmp_path, 2)
    assert rewards(tmp_path) == [(1, 0.5), (2, 1.0)]


def test_truncated_steps_are_written_again(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 2, 3)
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 4, "rew')
    writer = MetricsWriter(tmp_path)
    writer.truncate_after(2)
    assert rewards(tmp_path) == [(1, 0.5), (2, 1.0)]
    writer.write(3, {"reward": 9.0})
    writer.close()
    assert rewards(tmp_path) == [(1, 0.5), (2, 1.0), (3, 9.0)]


def test_tensorboard_shows_each_step_once(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 2, 3)
    time.sleep(1.1)  # event files are read in the order of the seconds in their names
    writer = MetricsWriter(tmp_path)
    writer.truncate_after(2)
    writer.write(3, {"reward": 9.0})
    writer.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("reward")] == [(1, 0.5), (2, 1.0), (3, 9.0)]


def test_nothing_written_is_nothing_read(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []
    writer = MetricsWriter(tmp_path)
    writer.truncate_after(0)
    writer.close()
    assert read_metrics(tmp_path) == []


def test_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "reward": 0.5}\n{"step": 2, "rew')
    assert rewards(tmp_path) == [(1, 0.5)]


def test_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    writer = MetricsWriter(tmp_path)
    with pytest.raises(DataError, match=r"metrics.jsonl cannot be written: Is a directory: free"):
        writer.write(1, {"reward": 0.5})
    writer.close()


def test_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"ste\n{"step": 3}\n')
    with pytest.raises(DataError, match=r"metrics.jsonl line 2 is damaged"):
        read_metrics(tmp_path)
