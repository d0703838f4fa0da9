"""Features of scenes and their images: those of readers without physics, and one of physics."""

import numpy as np
from numpy.typing import NDArray

from physrl.environments.geometry import level_margins
from physrl.types import Image, SceneSpec

Floats = NDArray[np.float32]
PIXELS = 32
"""Width and height to which images are reduced for `pixels`."""
THRESHOLD = 8
"""Largest difference between a pixel of the background and its row's first one, of 255."""


def unordered(scene: SceneSpec, image: Image) -> Floats:
    """Return everything about places, turns and sizes but what is above what and on which block.

    Offsets between blocks are sorted along each axis, so are their lengths; turns and their sizes
    are sorted; the lean and the extents along both axes follow.
    """
    centers = np.array([(block.x, block.z) for block in scene.blocks])
    offsets = np.diff(centers, axis=0)
    lengths = np.linalg.norm(offsets, axis=1)
    yaws = np.array([block.yaw for block in scene.blocks])
    lean = centers[-1] - centers[0]
    return np.concatenate(
        [
            *(np.sort(part, axis=0).ravel() for part in (offsets, np.abs(offsets), lengths)),
            *(np.sort(part) for part in (yaws, np.abs(yaws))),
            lean,
            np.abs(lean),
            [np.linalg.norm(lean), lengths.mean()],
            np.ptp(centers, axis=0),
            np.sort([block.size for block in scene.blocks]),
        ],
        dtype=np.float32,
    )


def ordered_places(scene: SceneSpec, image: Image) -> Floats:
    """Return the offset of each block from the one below and how far each is turned, not whither.

    This is all that a tower's physics needs but one bit a block.
    """
    centers = np.array([(block.x, block.z) for block in scene.blocks])
    yaws = np.abs([block.yaw for block in scene.blocks])
    return np.concatenate([np.diff(centers, axis=0).ravel(), yaws], dtype=np.float32)


def ordered_turns(scene: SceneSpec, image: Image) -> Floats:
    """Return each block's turn and how far it is from the one below, sideways and in depth.

    The lengths have no direction.
    """
    centers = np.array([(block.x, block.z) for block in scene.blocks])
    yaws = [block.yaw for block in scene.blocks]
    return np.concatenate([np.abs(np.diff(centers, axis=0)).ravel(), yaws], dtype=np.float32)


def outlines(scene: SceneSpec, image: Image) -> Floats:
    """Return the left edge, the right edge and the width of the tower in each row of the image."""
    size = len(image)
    difference = np.abs(image.astype(np.int16) - image[:, :1])
    tower = difference.max(axis=2) > THRESHOLD
    shown = tower.any(axis=1)
    left = np.where(shown, tower.argmax(axis=1), size / 2)
    right = np.where(shown, size - tower[:, ::-1].argmax(axis=1), size / 2)
    return np.concatenate([left, right, right - left], dtype=np.float32)


def pixels(scene: SceneSpec, image: Image) -> Floats:
    """Return the image reduced to PIXELS x PIXELS by averaging, as one row."""
    step = len(image) // PIXELS
    blocks = image.reshape(PIXELS, step, PIXELS, step, 3)
    return (blocks.mean(axis=(1, 3)) / 255).astype(np.float32).ravel()


def physics(scene: SceneSpec, image: Image) -> Floats:
    """Return the margin of each level, of which the smallest decides."""
    return level_margins(scene.blocks).astype(np.float32)
