import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.metrics.writer import MetricsWriter
from physrl.tracking import trackers

wandb = pytest.importorskip("wandb", reason="wandb is optional: pip install wandb")
BLOCK = 1 << 15
FULL, LAST = 1, 4


def tracked(folder: Path) -> RunConfig:
    tracking = {"wandb": {"project": "towers", "mode": "offline", "tags": ["first"]}}
    return validate({"name": "mine", "seed": 7, "output": str(folder), "tracking": tracking})


def train(config: RunConfig, *steps: int) -> None:
    writer = MetricsWriter(config.folder, trackers(config))
    for step in steps:
        writer.write(step, {"reward": step / 2})
    writer.close()


def records(config: RunConfig) -> list[Any]:
    """Read the records that offline runs wrote for `wandb sync`."""
    from wandb.proto.wandb_internal_pb2 import Record

    files = sorted(config.folder.glob("wandb/offline-run-*/*.wandb"))
    return [Record.FromString(data) for file in files for data in scan(file.read_bytes())]


def scan(log: bytes) -> Iterator[bytes]:
    """Split a log in LevelDB's format, after W&B's seven bytes, into records."""
    place, data = 7, b""
    while place + 7 <= len(log):
        if (left := BLOCK - place % BLOCK) < 7:
            place += left
            continue
        length, kind = struct.unpack("<HB", log[place + 4 : place + 7])
        data += log[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (FULL, LAST):
            yield data
            data = b""


def test_a_resumed_run_is_the_same_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = tracked(tmp_path)
    train(config, 1, 2)
    train(config, 3)
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []
    number = json.loads((config.folder / "tracking.json").read_text())["id"]
    found = records(config)
    runs = [record.run for record in found if record.HasField("run")]
    assert {(run.run_id, run.display_name, run.project) for run in runs} == {
        (number, "mine", "towers")
    }
    assert runs[0].tags == ["first"]
    rows = [
        {
            item.key or item.nested_key[0]: json.loads(item.value_json)
            for item in record.history.item
        }
        for record in found
        if record.HasField("history")
    ]
    assert [(row["_step"], row["reward"]) for row in rows] == [(1, 0.5), (2, 1.0), (3, 1.5)]
