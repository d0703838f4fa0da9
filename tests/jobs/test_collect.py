"""`physrl collect`: killed and resumed, into a folder and a bucket, with the same bytes."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.rollout.collect import collect_shard
from physrl.config.dataset import CollectConfig
from physrl.data.dataset import open_dataset
from physrl.data.dataset_writer import DatasetWriter
from physrl.errors import DataError
from physrl.storage.object_store import ObjectStore, open_store
from tests.support.command_line import call_refused

SCENES = ["task=place", "scenes=120", "scenes_per_shard=10"]


def command(out: str, workers: int) -> list[str]:
    return [sys.executable, "-m", "jobs.collect", *SCENES, f"out={out}", f"workers={workers}"]


def contents(store: ObjectStore) -> dict[str, bytes]:
    keys = store.keys()
    return {key: store.get(key) for key in keys}


def kill_in_the_middle(out: str) -> None:
    """Run the command until two shards exist, and kill it."""
    process = subprocess.Popen(command(out, 1), stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        while len(open_store(out).keys("data/")) < 2:
            assert process.poll() is None, "it ended first"
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_and_resumed_in_a_bucket(tmp_path: Path, bucket: str) -> None:
    place = f"s3://{bucket}/some/place"
    store = open_store(place)
    kill_in_the_middle(place)
    with pytest.raises(DataError, match=r"manifest\.json"):
        open_dataset(place)
    damaged = store.keys("data/")[1]
    store.put(damaged, store.get(damaged)[:1000])
    done = subprocess.run(command(place, 2), capture_output=True, text=True, check=True)
    assert re.search(r"resuming: \d+ of 12 shards", done.stdout)
    assert f"120 scenes of place (train) in 12 shards, 0.3 MB: {place}\n" in done.stdout

    # In one process and a folder, without Ray and without interruption.
    config = CollectConfig(scenes=120, scenes_per_shard=10, out=str(tmp_path))
    shards = [collect_shard(config, number, None) for number in range(config.shards)]
    DatasetWriter(config.plan, config.out).commit(shards)
    assert contents(store) == contents(open_store(config.out))
    dataset, same = open_dataset(place), open_dataset(config.out)
    dataset.check()
    assert [dataset[index][0] for index in (0, 119)] == [same[index][0] for index in (0, 119)]
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    assert secret not in done.stdout + done.stderr
    assert not any(secret.encode() in data for data in contents(store).values())


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["out=s3://no-such-bucket/x"], "bucket 'no-such-bucket' does not exist"),
        (["out=/proc/here"], "folder /proc/here cannot be written"),
        (["out=x", "task=stability", "environment.margin=[0.3,0.4]"], "environment.margin"),
        (["scenes=3"], "out is missing"),
        (["out=x", "generator=tall", "environment.num_blocks=[2,6]"], "generator 'tall'"),
    ],
)
def test_a_mistake_is_one_line_before_ray_starts(
    overrides: list[str],
    named: str,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def started(*_: object) -> None:
        raise AssertionError("Ray was started")

    monkeypatch.setattr("cluster.runtime.session.ray_session", started)
    assert named in call_refused(capsys, "collect", *overrides)
