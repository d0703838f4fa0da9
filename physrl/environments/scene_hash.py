"""Hashes that identify equal and nearly equal scenes."""

import hashlib
from dataclasses import astuple

from physrl.types import Block, SceneSpec


def scene_hash(scene: SceneSpec) -> str:
    """Hash everything that is visible in a scene or affects its physics, but not its id."""
    blocks = tuple(map(astuple, _places(scene)))
    return _digest((blocks, scene.movable, astuple(scene.camera), astuple(scene.appearance)))


def geometry_hash(scene: SceneSpec) -> str:
    """Hash the blocks' lengths and angles, rounded to thousandths: near-duplicates share it.

    Colors, camera and light are left out because they do not make a duplicate a new scene.
    Rounding to hundredths would make single blocks of independent scenes collide by chance.
    """
    blocks = [
        tuple(
            round(value * 1000)
            for value in (block.x, block.y, block.z, block.yaw, block.size, *block.stretch)
        )
        for block in _places(scene)
    ]
    return _digest((blocks, scene.movable))


def _places(scene: SceneSpec) -> tuple[Block, ...]:
    """Return the blocks of a scene and the outlined one."""
    return scene.blocks if scene.outline is None else (*scene.blocks, scene.outline)


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()
