from dataclasses import replace

import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.scene_hash import geometry_hash, scene_hash
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import SceneSpec


@pytest.fixture
def scene() -> SceneSpec:
    return make_scene(TASKS["stability"], EnvironmentConfig(), 0, "test", 0)


def test_hashes_cover_the_scene_but_not_its_id(scene: SceneSpec) -> None:
    renamed = replace(scene, index=7, split="train", generator="tall")
    assert scene_hash(renamed) == scene_hash(scene)
    moved = replace(scene, blocks=(replace(scene.blocks[0], x=9.0), *scene.blocks[1:]))
    other_camera = replace(scene, camera=replace(scene.camera, x=9.0))
    for other in (moved, other_camera):
        assert scene_hash(other) != scene_hash(scene)
    assert geometry_hash(other_camera) == geometry_hash(scene)
    assert geometry_hash(moved) != geometry_hash(scene)


def test_near_duplicates_share_the_geometry_hash(scene: SceneSpec) -> None:
    rounded = [replace(block, x=round(block.x, 3)) for block in scene.blocks]
    near = [replace(block, x=block.x + 0.0004, color="white") for block in rounded]
    first, second = replace(scene, blocks=tuple(rounded)), replace(scene, blocks=tuple(near))
    assert geometry_hash(first) == geometry_hash(second)
    assert scene_hash(first) != scene_hash(second)
