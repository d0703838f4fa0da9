import io

import pyarrow.parquet as pq
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.data.shards import encode_shard
from physrl.environments.geometry import margin
from physrl.environments.renderer import TinyRenderer
from physrl.scene_source import SceneSource, prepare


def test_columns_of_stability_scenes(renderer: TinyRenderer) -> None:
    source = SceneSource("stability", EnvironmentConfig(num_blocks=(3, 3)), 0, "train", False)
    (scene,), prompts = prepare(source, [0], renderer)
    (row,) = pq.read_table(io.BytesIO(encode_shard([scene], prompts, "p"))).to_pylist()
    assert row["falls"] is (scene.margin < 0)
    assert (row["ideal_x"], row["ideal_y"]) == (None, None)
    assert row["target"] == f"<answer>{'Yes' if scene.margin < 0 else 'No'}</answer>"
    assert row["blocks"][0]["color"] == scene.blocks[0].color
    _, middle, top = scene.blocks
    first, second = row["centers_of_mass"]
    assert first == pytest.approx(
        {"x": (middle.x + top.x) / 2, "y": 2.0, "z": (middle.z + top.z) / 2}
    )
    assert second == pytest.approx({"x": top.x, "y": 2.5, "z": top.z})
    assert margin(scene.tower) == row["margin"]


def test_columns_of_offset_scenes(renderer: TinyRenderer) -> None:
    source = SceneSource("place", EnvironmentConfig(), 0, "train", False)
    scenes, prompts = prepare(source, [0], renderer)
    (row,) = pq.read_table(io.BytesIO(encode_shard(scenes, prompts, "p"))).to_pylist()
    x, y = round(row["ideal_x"] * 100), round(row["ideal_y"] * 100)
    assert row["target"] == f"<answer>{x} {y}</answer>"
    assert row["falls"] is None


def test_the_bytes_of_a_shard_depend_only_on_its_scenes(renderer: TinyRenderer) -> None:
    source = SceneSource("place", EnvironmentConfig(), 0, "train", reasoning=False)
    scenes, prompts = prepare(source, range(5), renderer)
    reversed_scenes, reversed_prompts = prepare(source, reversed(range(5)), TinyRenderer())
    again = encode_shard(reversed_scenes[::-1], reversed_prompts[::-1], "plan")
    assert encode_shard(scenes, prompts, "plan") == again
