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
        ("tall", {"num_blocks": (6, 6)}),
        ("colors", {"colors": "held_out"}),
        ("camera", {"camera": "held_out"}),
        ("sizes", {"sizes": "held_out"}),
        ("wild", {"randomization": "wild"}),
        ("wording", {"wording": "held_out"}),
        ("small_margin", {"margin": (0.02, 0.05)}),
    ],
)
def test_a_generator_changes_one_setting(name: GeneratorName, changes: dict[str, Any]) -> None:
    assert GENERATORS[name](SETTINGS) == SETTINGS.model_copy(update=changes)


@pytest.mark.parametrize("task", TASKS)
def test_splits_and_sets_share_no_scene_and_no_near_duplicate(task: str) -> None:
    sampled = [
        scene for split in SPLITS for name in GENERATORS for scene in scenes(name, task, split, 6)
    ]
    assert len({scene.scene_id for scene in sampled}) == len(sampled)
    assert len({scene_hash(scene) for scene in sampled}) == len(sampled)
    assert len({geometry_hash(scene) for scene in sampled}) == len(sampled)


def test_sets_with_equal_settings_share_no_scene() -> None:
    # `wording` changes only the question, so only its random streams differ.
    hashes = {geometry_hash(scene) for scene in scenes("iid")}
    assert not hashes & {geometry_hash(scene) for scene in scenes("wording")}


def test_tall_towers_have_more_blocks_than_training_towers() -> None:
    assert {len(scene.blocks) for scene in scenes("tall")} == {6}


def test_small_margins_are_below_training_margins() -> None:
    assert all(0.02 <= abs(scene.margin) <= 0.05 for scene in scenes("small_margin"))


def test_towers_cannot_exceed_the_maximum_height() -> None:
    with pytest.raises(ConfigError, match=r"environment\.num_blocks is \[2, 6\].*'tall'"):
        GENERATORS["tall"](EnvironmentConfig(num_blocks=(2, 6)))
    assert GENERATORS["tall"](EnvironmentConfig(num_blocks=(2, 5))).num_blocks == (6, 6)


def test_margins_cannot_fall_below_the_minimum() -> None:
    with pytest.raises(ConfigError, match=r"margin is \[0\.02, 0\.4\].*'small_margin'"):
        GENERATORS["small_margin"](EnvironmentConfig(margin=(0.02, 0.4)))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("colors", "colors", "held_out"),
        ("camera", "camera", "held_out"),
        ("sizes", "sizes", "held_out"),
        ("wild", "randomization", "wild"),
        ("wording", "wording", "held_out"),
    ],
)
def test_a_generator_that_changes_nothing_is_rejected(
    name: GeneratorName, key: str, value: str
) -> None:
    same = EnvironmentConfig(**{key: value})
    with pytest.raises(ConfigError, match=rf"environment\.{key} is {value}: .*'{name}'"):
        GENERATORS[name](same)
    assert GENERATORS["iid"](same) == same
