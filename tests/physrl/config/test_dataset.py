from pathlib import Path

import pytest

from physrl.config.dataset import DatasetPlan
from physrl.config.load import load_collect_config, load_config
from physrl.errors import ConfigError


def test_shards_share_the_scenes_by_hand() -> None:
    plan = DatasetPlan(scenes=10, scenes_per_shard=4)
    assert [plan.indices(shard) for shard in range(plan.shards)] == [
        range(4),
        range(4, 8),
        range(8, 10),
    ]
    assert DatasetPlan(scenes=8, scenes_per_shard=4).shards == 2


def test_place_and_workers_are_no_part_of_the_plan() -> None:
    here = load_collect_config(None, ["out=a", "workers=1", "seed=3", "environment.yaw=0.1"])
    there = load_collect_config(None, ["out=s3://b/c/", "seed=3", "environment.yaw=0.1"])
    assert here.plan == there.plan
    assert (here.plan.seed, here.plan.environment.yaw) == (3, 0.1)
    assert (here.out, there.out) == (str(Path("a").absolute()), "s3://b/c")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "out is missing: set out=VALUE"),
        (["out="], "out is None"),
        (["out=''"], "out is '': name a folder or s3://bucket/prefix"),
        (
            ["out=s3://"],
            "out is 's3://': '' is not the name of a bucket; name a folder or s3://bucket/prefix",
        ),
        (["out=gs://bucket/x"], "out is 'gs://bucket/x': name a folder or s3://bucket/prefix"),
        (["out=a", "scenes=0"], "scenes is 0"),
        (["out=a", "task=stack"], "task is 'stack'"),
        (["out=a", "steps=3"], "unknown key 'steps'"),
        (["out=a", "scenes=100000", "scenes_per_shard=1"], "makes 100000 shards, more than 99999"),
        (["out=a", "environment.num_blocks=[4,2]"], "num_blocks [4, 2]"),
    ],
)
def test_mistakes_are_one_line(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_collect_config(None, overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_and_overrides(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("task: stability\nscenes: 7\nout: s3://bucket/x\n")
    config = load_collect_config(tmp_path / "c.yaml", ["scenes=8"])
    assert (config.task, config.scenes, config.out) == ("stability", 8, "s3://bucket/x")


def test_a_runs_data_is_found_from_anywhere() -> None:
    assert load_config(None, ["data=runs/x"]).data == str(Path("runs/x").absolute())
    assert load_config(None, ["data=s3://bucket/x"]).data == "s3://bucket/x"
    assert load_config(None).data is None
