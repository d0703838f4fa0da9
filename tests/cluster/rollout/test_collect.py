"""Collection of shards by Ray tasks: equal bytes for any number of workers, retries, errors."""

import os
import time
from pathlib import Path

import pytest

from cluster.rollout import collect
from cluster.rollout.collect import collect_shard, collect_shards, plan_source
from physrl.config.dataset import CollectConfig, DatasetPlan
from physrl.data.dataset import open_dataset
from physrl.data.dataset_writer import DatasetWriter
from physrl.data.manifest import Shard
from physrl.errors import CollectionError, SceneError, StorageError
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene


def collected(config: CollectConfig, existing: dict[int, str] | None = None) -> dict[int, Shard]:
    return dict(collect_shards(config, existing or {}))


def configured(folder: Path, **changes: int) -> CollectConfig:
    return CollectConfig(**{"scenes": 10, "scenes_per_shard": 4, "out": str(folder)} | changes)


def test_any_number_of_workers_makes_the_same_bytes(ray_cluster: None, tmp_path: Path) -> None:
    alone = {n: collect_shard(configured(tmp_path / "alone"), n, None) for n in range(3)}
    one = collected(configured(tmp_path / "one", workers=1))
    three = collected(configured(tmp_path / "three", workers=3))
    assert alone == one == three
    for shard in alone.values():
        contents = {
            (tmp_path / name / shard.file).read_bytes() for name in ("alone", "one", "three")
        }
        assert len(contents) == 1


def test_a_named_set_is_collected_from_its_own_settings(tmp_path: Path) -> None:
    plan = DatasetPlan(generator="tall", scenes=2, scenes_per_shard=2)
    shard = collect_shard(CollectConfig(**plan.model_dump(), out=str(tmp_path)), 0, None)
    DatasetWriter(plan, str(tmp_path)).commit([shard])
    scene, _, _ = open_dataset(str(tmp_path))[0]
    source = plan_source(plan)
    assert source.environment.num_blocks == (6, 6)
    assert scene == make_scene(TASKS["place"], source.environment, 0, "train", 0, "tall")


def test_whole_shards_are_kept_and_damaged_ones_made_anew(tmp_path: Path) -> None:
    config = configured(tmp_path)
    shard = collect_shard(config, 0, None)
    path = tmp_path / shard.file
    whole = path.read_bytes()
    os.utime(path, (1, 1))
    assert collect_shard(config, 0, shard.file) == shard
    assert path.stat().st_mtime == 1
    path.write_bytes(whole[:-1])
    assert collect_shard(config, 0, shard.file) == shard
    assert path.read_bytes() == whole


def test_a_damaged_shard_of_another_name_does_not_stay(tmp_path: Path) -> None:
    config = configured(tmp_path)
    shard = collect_shard(config, 0, None)
    stale = shard.file.replace(shard.sha256[:16], "0" * 16)
    (tmp_path / shard.file).rename(tmp_path / stale)
    assert collect_shard(config, 0, stale) == shard
    assert [path.name for path in (tmp_path / "data").iterdir()] == [Path(shard.file).name]


def described(number: int) -> Shard:
    return Shard(file=f"{number}", scenes=1, bytes=1, sha256="")


def failing(folder: Path, times: int, how: str) -> collect.MakeShard:
    """Return a function that fails so often at the second shard; each time leaves a file."""

    def make(config: CollectConfig, number: int, existing: str | None) -> Shard:
        tries = len(list(folder.iterdir()))
        if number == 1 and tries < times:
            (folder / str(tries)).touch()
            if how == "crash":
                os._exit(1)
            raise {"storage": StorageError, "scene": SceneError}[how]("it is gone: find it")
        return Shard(file=f"{number}", scenes=1, bytes=1, sha256="")

    return make


@pytest.mark.parametrize("how", ["crash", "storage"])
def test_what_fails_is_tried_again(ray_cluster: None, tmp_path: Path, how: str) -> None:
    shards = dict(collect_shards(configured(tmp_path), {}, failing(tmp_path, 2, how)))
    assert sorted(shards) == [0, 1, 2]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("how", "error", "tries", "message"),
    [
        ("crash", CollectionError, 2, r"shard 2 of 3 .*4 to 7.*: WorkerCrashedError"),
        ("storage", StorageError, 2, r"shard 2 of 3 .*4 to 7.*: it is gone: find it"),
        ("scene", SceneError, 1, r"shard 2 of 3 .*4 to 7.*: it is gone: find it"),
    ],
)
def test_what_fails_for_good_is_named(
    ray_cluster: None,
    tmp_path: Path,
    how: str,
    error: type[Exception],
    tries: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collect, "ATTEMPTS", 2)
    with pytest.raises(error, match=message) as caught:
        dict(collect_shards(configured(tmp_path), {}, failing(tmp_path, 9, how)))
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert len(list(tmp_path.iterdir())) == tries


def test_no_more_shards_at_once_than_workers(ray_cluster: None, tmp_path: Path) -> None:
    def make(config: CollectConfig, number: int, existing: str | None) -> Shard:
        running = tmp_path / f"{number}"
        running.touch()
        time.sleep(0.1)
        count = len(list(tmp_path.iterdir()))
        running.unlink()
        return Shard(file=f"{number}", scenes=count, bytes=1, sha256="")

    shards = dict(collect_shards(configured(tmp_path, workers=1), {}, make))
    assert [shard.scenes for shard in shards.values()] == [1, 1, 1]
