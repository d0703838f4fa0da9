from dataclasses import replace
from typing import Any, get_args

import pytest

from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.environments.generators import GENERATORS
from physrl.environments.scene_hash import geometry_hash, scene_hash
from physrl.errors import ConfigError
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import SceneSpec, Split

SETTINGS = EnvironmentConfig()
SPLITS: tuple[Split, ...] = get_args(Split)


def scenes(
    name: GeneratorName, task: str = "stability", split: Split = "test", count: int = 20
) -> list[SceneSpec]:
    settings = GENERATORS[name](SETTINGS)
    return [make_scene(TASKS[task], settings, 0, split, index, name) for index in range(count)]


def test_every_name_has_a_generator() -> None:
    assert set(GENERATORS) == set(get_args(GeneratorName))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("iid", {}),
        ("tall", {"num_blocks": (5, 6)}),
        ("colors", {"colors": "held_out"}),
        ("camera", {"camera": "held_out"}),
        ("sizes", {"sizes": "mixed"}),
        ("wild", {"randomization": "wild"}),
        ("wording", {"wording": "held_out"}),
        ("small_margin", {"margin": (0.02, 0.05)}),
    ],
)
def test_a_generator_changes_one_thing(name: GeneratorName, changes: dict[str, Any]) -> None:
    assert GENERATORS[name](SETTINGS) == SETTINGS.model_copy(update=changes)


@pytest.mark.parametrize("task", TASKS)
def test_splits_and_sets_share_no_scene_even_nearly(task: str) -> None:
    drawn = [
        scene for split in SPLITS for name in GENERATORS for scene in scenes(name, task, split)
    ]
    assert len({scene.scene_id for scene in drawn}) == len(drawn)
    assert len({scene_hash(scene) for scene in drawn}) == len(drawn)
    assert len({geometry_hash(scene) for scene in drawn}) == len(drawn)


def test_sets_of_equal_settings_share_no_scene() -> None:
    # `wording` changes only what is asked: its streams alone keep it apart.
    hashes = {geometry_hash(scene) for scene in scenes("iid")}
    assert not hashes & {geometry_hash(scene) for scene in scenes("wording")}


def test_tall_towers_have_more_blocks_than_any_trained_on() -> None:
    assert {len(scene.blocks) for scene in scenes("tall")} == {5, 6}


def test_small_margins_are_below_all_trained_on() -> None:
    assert all(0.02 <= abs(scene.margin) <= 0.05 for scene in scenes("small_margin"))


def test_no_tower_is_taller_than_the_tallest() -> None:
    with pytest.raises(ConfigError, match=r"num_blocks is \[2, 6\]: generator 'tall'"):
        GENERATORS["tall"](EnvironmentConfig(num_blocks=(2, 6)))
    assert GENERATORS["tall"](EnvironmentConfig(num_blocks=(2, 5))).num_blocks == (6, 6)


def test_no_margin_is_smaller_than_the_smallest() -> None:
    with pytest.raises(ConfigError, match=r"margin is \[0.02, 0.4\]: generator 'small_margin'"):
        GENERATORS["small_margin"](EnvironmentConfig(margin=(0.02, 0.4)))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("colors", "colors", "held_out"),
        ("camera", "camera", "held_out"),
        ("sizes", "sizes", "mixed"),
        ("wild", "randomization", "wild"),
        ("wording", "wording", "held_out"),
    ],
)
def test_a_set_that_would_differ_in_nothing_is_refused(
    name: GeneratorName, key: str, value: str
) -> None:
    same = EnvironmentConfig(**{key: value})
    message = f"environment.{key} is {value}: generator '{name}' would differ from it in nothing"
    with pytest.raises(ConfigError, match=message):
        GENERATORS[name](same)
    assert GENERATORS["iid"](same) == same


def test_a_hash_tells_what_is_seen_and_nothing_else() -> None:
    (scene,) = scenes("iid", count=1)
    renamed = replace(scene, index=7, split="train", generator="tall")
    assert scene_hash(renamed) == scene_hash(scene)
    moved = replace(scene, blocks=(replace(scene.blocks[0], x=9.0), *scene.blocks[1:]))
    seen_from_elsewhere = replace(scene, camera=replace(scene.camera, x=9.0))
    for other in (moved, seen_from_elsewhere):
        assert scene_hash(other) != scene_hash(scene)
    assert geometry_hash(seen_from_elsewhere) == geometry_hash(scene)
    assert geometry_hash(moved) != geometry_hash(scene)


def test_near_duplicates_have_one_geometry() -> None:
    (scene,) = scenes("iid", count=1)
    rounded = [replace(block, x=round(block.x, 3)) for block in scene.blocks]
    near = [replace(block, x=block.x + 0.0004, color="white") for block in rounded]
    one, other = replace(scene, blocks=tuple(rounded)), replace(scene, blocks=tuple(near))
    assert geometry_hash(one) == geometry_hash(other)
    assert scene_hash(one) != scene_hash(other)
