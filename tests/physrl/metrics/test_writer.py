import errno
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from physrl.errors import DataError
from physrl.metrics import Row, read_metrics
from physrl.metrics.background import Background
from physrl.metrics.writer import MetricsWriter


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


def test_reopened_files_are_appended_to(tmp_path: Path) -> None:
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
    writer = MetricsWriter(tmp_path)
    writer.truncate_after(2)
    writer.write(3, {"reward": 9.0})
    writer.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("reward")] == [(1, 0.5), (2, 1.0), (3, 9.0)]


def test_tensorboard_reads_a_bucket(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_steps(tmp_path, 1, 2)
    (file,) = tmp_path.glob("events.*")
    boto3.client("s3").upload_file(str(file), bucket, f"runs/mine/{file.name}")
    monkeypatch.setenv("S3_ENDPOINT", os.environ["AWS_ENDPOINT_URL"])
    events = EventAccumulator(f"s3://{bucket}/runs/mine").Reload()
    assert [(e.step, e.value) for e in events.Scalars("reward")] == [(1, 0.5), (2, 1.0)]


def test_no_rows(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []
    writer = MetricsWriter(tmp_path)
    writer.truncate_after(0)
    writer.close()
    assert read_metrics(tmp_path) == []


def test_a_torn_last_line_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "reward": 0.5}\n{"step": 2, "rew')
    assert rewards(tmp_path) == [(1, 0.5)]


@contextmanager
def full_disk(path: Path, room: int) -> Iterator[None]:
    """Limit the growth of files to some bytes beyond the path's size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_tears_no_line_and_loses_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = MetricsWriter(tmp_path)
    writer.write(1, {"reward": 0.5})
    with full_disk(tmp_path / "metrics.jsonl", room=20):  # a line is longer
        writer.write(2, {"reward": 1.0})
        writer.write(3, {"reward": 1.5})
    assert rewards(tmp_path) == [(1, 0.5)]
    assert (tmp_path / "metrics.jsonl").read_bytes().endswith(b"}\n")
    warnings = [record.message for record in caplog.records if "metrics.jsonl" in record.message]
    assert len(warnings) == 1
    assert "step 2 to" in warnings[0]
    writer.write(4, {"reward": 2.0})
    writer.close()
    assert rewards(tmp_path) == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0)]
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("reward")] == [1, 2, 3, 4]


def test_closing_writes_the_remaining_rows(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path)
    writer.write(1, {"reward": 0.5})
    with full_disk(tmp_path / "metrics.jsonl", room=0):
        writer.write(2, {"reward": 1.0})
    writer.close()
    assert rewards(tmp_path) == [(1, 0.5), (2, 1.0)]


def test_lost_rows_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    writer = MetricsWriter(tmp_path)
    writer.write(1, {"reward": 0.5})
    writer.write(2, {"reward": 0.5})
    with pytest.raises(
        DataError, match=r"metrics\.jsonl cannot be written: Is a directory: .* 2 steps"
    ):
        writer.close()


def test_truncated_steps_are_dropped(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path)
    writer.write(1, {"reward": 0.5})
    with full_disk(tmp_path / "metrics.jsonl", room=0):
        for step in (2, 3):
            writer.write(step, {"reward": step / 2})
        writer.truncate_after(2)  # in place: it needs no room
    writer.write(3, {"reward": 9.0})
    writer.close()
    assert rewards(tmp_path) == [(1, 0.5), (2, 1.0), (3, 9.0)]


class Fickle:
    """A sink whose network fails in some calls."""

    name = "a server"

    def __init__(self, *failing: int) -> None:
        self.failing, self.calls = set(failing), 0
        self.taken: list[int] = []
        self.closed = False

    def write(self, row: Row) -> None:
        self.calls += 1
        if self.calls in self.failing:
            raise ConnectionError(errno.ENETUNREACH, "Network is unreachable")
        self.taken.append(row.step)

    def close(self) -> None:
        self.closed = True


def test_other_sinks_get_every_row(tmp_path: Path) -> None:
    sinks = [Fickle(), Fickle()]
    writer = MetricsWriter(tmp_path, sinks)
    for step in range(1, 4):
        writer.write(step, {"reward": 0.5})
    writer.close()
    assert [(sink.taken, sink.closed) for sink in sinks] == [([1, 2, 3], True)] * 2


def test_an_outage_of_a_sink_is_one_warning_and_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Fickle(2, 3)
    writer = MetricsWriter(tmp_path, [sink])
    for step in range(1, 6):
        writer.write(step, {"reward": 0.5})
    writer.close()
    assert sink.taken == [1, 2, 3, 4, 5]
    assert len(rewards(tmp_path)) == 5
    (warning,) = caplog.messages
    assert "step 2 to a server failed (Network is unreachable)" in warning


def test_a_sink_that_always_fails_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = MetricsWriter(tmp_path, [Fickle(*range(100)), sink := Fickle()])
    for step in range(1, 4):
        writer.write(step, {"reward": 0.5})
    writer.close()
    assert sink.taken == [1, 2, 3]
    first, last = caplog.messages
    assert "step 1 to a server failed (Network is unreachable)" in first
    assert "a server did not accept the last 3 steps (Network is unreachable)" in last


def test_a_sink_that_hangs_blocks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hold = threading.Event()

    class Hanging(Fickle):
        def write(self, row: Row) -> None:
            hold.wait(60)

    background = Background(Hanging(), closing_seconds=0.01)
    background.write(Row(1, 0.0, {}))
    background.close()
    (warning,) = caplog.messages
    assert "a server did not accept all metrics within 0.01 s" in warning
    hold.set()


def test_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"ste\n{"step": 3}\n')
    with pytest.raises(DataError, match=r"metrics\.jsonl line 2"):
        read_metrics(tmp_path)
