"""Exact static stability of a single stack of cubes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from physrl.types import Block

Floats = NDArray[np.float64]


def centers_of_mass(tower: Sequence[Block]) -> Floats:
    """Compute the center of mass of all blocks above each level but the top, bottom first.

    Returns:
        Levels x 3: x, y, z in block widths. All blocks have one density: mass is the edge cubed.
    """
    centers = np.array([[(block.x, block.y, block.z) for block in tower]])
    above: Floats = _centers_above(centers, np.array([[block.size for block in tower]]))[0]
    return above


def level_margins(tower: Sequence[Block]) -> Floats:
    """Compute the margin of every level but the top, in block widths, bottom first.

    Level k is stable while the center of mass of all blocks above k lies over k's top face. Its
    margin is size_k / 2 - max(|dx|, |dz|), where (dx, dz) is the offset of that center of mass from
    k's center in k's own frame. A single block has no level and gives an empty result.

    Strictly, the blocks above k are supported only where k's top face and the lower face of block
    k + 1 overlap, but the top faces suffice for any sizes and yaws. Suppose that every level is
    stable. The center of mass of all blocks above k is an average of block k + 1's own center and
    the center of mass of all blocks above k + 1. The first lies over k + 1's face, so does the
    second because level k + 1 is stable, and a face is convex: the average lies over both faces,
    and the contact supports it.
    """
    centers = np.array([[(block.x, block.z) for block in tower]])
    yaws = np.array([[block.yaw for block in tower]])
    sizes = np.array([[block.size for block in tower]])
    margins: Floats = sizes[0, :-1] / 2 - overhangs(centers, yaws, sizes)[0]
    return margins


def overhangs(centers: Floats, yaws: Floats, sizes: Floats) -> Floats:
    """Compute how far the center of mass above each block is from its middle, for many towers.

    Args:
        centers: towers x blocks x 2: x and z, bottom first.
        yaws: towers x blocks.
        sizes: towers x blocks.

    Returns:
        Towers x levels: max(|dx|, |dz|) of `level_margins`.
    """
    offsets = _centers_above(centers, sizes) - centers[:, :-1]
    dx, dz = offsets[..., 0], offsets[..., 1]
    cos, sin = np.cos(yaws[:, :-1]), np.sin(yaws[:, :-1])
    largest: Floats = np.maximum(np.abs(cos * dx - sin * dz), np.abs(sin * dx + cos * dz))
    return largest


def _centers_above(centers: Floats, sizes: Floats) -> Floats:
    """Compute the center of mass above each level, for many towers: towers x levels x axes."""
    masses = sizes**3
    moments = np.cumsum((masses[..., None] * centers)[:, ::-1], axis=1)[:, ::-1][:, 1:]
    above: Floats = moments / np.cumsum(masses[:, ::-1], axis=1)[:, ::-1][:, 1:, None]
    return above


def margin(tower: Sequence[Block]) -> float:
    """Compute the smallest level margin: positive if the tower stands, half the edge if alone."""
    return float(level_margins(tower).min(initial=tower[0].size / 2))


def overlaps(first: Block, second: Block, tolerance: float) -> bool:
    """Return whether two upright cubes overlap by more than `tolerance` along every axis.

    Exact, by separating axes: the vertical and the sides of both squares.
    """
    if abs(first.y - second.y) >= (first.size + second.size) / 2 - tolerance:
        return False
    gap = np.array([second.x - first.x, second.z - first.z])
    turn = second.yaw - first.yaw
    spread = abs(np.cos(turn)) + abs(np.sin(turn))
    for block, other in ((first, second), (second, first)):
        reach = block.size / 2 + spread * other.size / 2
        cos, sin = np.cos(block.yaw), np.sin(block.yaw)
        for axis in (np.array([cos, -sin]), np.array([sin, cos])):
            if abs(gap @ axis) >= reach - tolerance:
                return False
    return True
