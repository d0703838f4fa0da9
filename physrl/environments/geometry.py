"""When a single stack of cubes stands: the exact static criterion."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from physrl.types import Block

Floats = NDArray[np.float64]


def centres_of_mass(tower: Sequence[Block]) -> Floats:
    """The centre of mass of all blocks above each level but the top, bottom first.

    Returns:
        Levels x 3: x, y, z in block widths. Blocks are of one material: mass is the edge cubed.
    """
    centres = np.array([(block.x, block.y, block.z) for block in tower])
    masses = np.array([block.size for block in tower]) ** 3
    above = np.cumsum((masses[:, None] * centres)[::-1], axis=0)[::-1][1:]
    centre: Floats = above / np.cumsum(masses[::-1])[::-1][1:, None]
    return centre


def level_margins(tower: Sequence[Block]) -> Floats:
    """The margin of every level but the top, in block widths, bottom first.

    Level k holds while the centre of mass of all blocks above k lies over k's top face. Its margin
    is size_k / 2 - max(|dx|, |dz|) with (dx, dz) that centre of mass seen from k's centre in k's
    own frame. A lone block has no level and an empty result.

    What carries the blocks above k is only where k's top face and the lower face of block k + 1
    meet, but the top faces suffice, whatever the sizes and turns. Suppose that every level holds.
    The centre of mass of all above k is an average of block k + 1's own centre and the centre of
    mass of all above k + 1. The first lies over k + 1's face, so does the second because level
    k + 1 holds, and a face is convex: the average lies over both faces, and the contact carries it.
    """
    centres = np.array([[(block.x, block.z) for block in tower]])
    yaws = np.array([[block.yaw for block in tower]])
    sizes = np.array([[block.size for block in tower]])
    margins: Floats = sizes[0, :-1] / 2 - reaches(centres, yaws, sizes)[0]
    return margins


def reaches(centres: Floats, yaws: Floats, sizes: Floats) -> Floats:
    """How far off each block's middle the centre of mass above it is, for many towers at once.

    Args:
        centres: towers x blocks x 2: x and z, bottom first.
        yaws: towers x blocks.
        sizes: towers x blocks.

    Returns:
        Towers x levels: max(|dx|, |dz|) of `level_margins`.
    """
    masses = sizes**3
    above = np.cumsum((masses[..., None] * centres)[:, ::-1], axis=1)[:, ::-1][:, 1:]
    above /= np.cumsum(masses[:, ::-1], axis=1)[:, ::-1][:, 1:, None]
    away = above - centres[:, :-1]
    dx, dz = away[..., 0], away[..., 1]
    cos, sin = np.cos(yaws[:, :-1]), np.sin(yaws[:, :-1])
    reach: Floats = np.maximum(np.abs(cos * dx - sin * dz), np.abs(sin * dx + cos * dz))
    return reach


def margin(tower: Sequence[Block]) -> float:
    """The smallest level margin; the tower stands if it is positive. Half the edge if alone."""
    return float(level_margins(tower).min(initial=tower[0].size / 2))


def overlaps(first: Block, second: Block, tolerance: float) -> bool:
    """Whether two upright cubes share space by more than `tolerance` along every axis.

    Exact: separating axes are the vertical and the sides of both squares.
    """
    if abs(first.y - second.y) >= (first.size + second.size) / 2 - tolerance:
        return False
    gap = np.array([second.x - first.x, second.z - first.z])
    turn = second.yaw - first.yaw
    spread = abs(np.cos(turn)) + abs(np.sin(turn))
    for one, other in ((first, second), (second, first)):
        reach = one.size / 2 + spread * other.size / 2
        cos, sin = np.cos(one.yaw), np.sin(one.yaw)
        for axis in (np.array([cos, -sin]), np.array([sin, cos])):
            if abs(gap @ axis) >= reach - tolerance:
                return False
    return True
