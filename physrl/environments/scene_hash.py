"""Hashes that tell whether two scenes are the same, whoever drew them."""

import hashlib
from dataclasses import astuple

from physrl.types import SceneSpec


def scene_hash(scene: SceneSpec) -> str:
    """Of all that is seen and all that its physics depend on; not of its id."""
    blocks = tuple(map(astuple, scene.blocks))
    return _digest((blocks, scene.movable, astuple(scene.camera), astuple(scene.appearance)))


def geometry_hash(scene: SceneSpec) -> str:
    """Of the blocks alone, lengths and angles rounded to thousandths: equal for near-duplicates.

    Neither colours nor camera nor light make a duplicate a new scene. Rounded to hundredths, lone
    blocks of thousands of independent scenes would meet by chance.
    """
    blocks = [
        tuple(round(value * 1000) for value in (block.x, block.y, block.z, block.yaw, block.size))
        for block in scene.blocks
    ]
    return _digest((blocks, scene.movable))


def _digest(what: object) -> str:
    return hashlib.sha256(repr(what).encode()).hexdigest()
