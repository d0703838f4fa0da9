"""Exact static stability of boxes of which each rests on the ground or on one other box."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from physrl.types import Block, Vector

Floats = NDArray[np.float64]


HEIGHT_TOLERANCE = 1e-6
"""Largest difference in height, in block widths, at which a block rests on another."""


def carriers(tower: Sequence[Block]) -> list[int]:
    """Find what each block but the first rests on: the last block before it that ends below it.

    In a stack each block rests on the one before it; blocks side by side on a plank share theirs.
    """
    tops = [block.y + block.size / 2 for block in tower]
    found = []
    for index, block in enumerate(tower[1:], 1):
        bottom = block.y - block.size / 2 + HEIGHT_TOLERANCE
        below = index - 1
        while below > 0 and tops[below] > bottom:
            below -= 1
        found.append(below)
    return found


def centers_of_mass(tower: Sequence[Block]) -> Floats:
    """Compute the center of mass of each block but the first with all that it carries.

    Returns:
        Blocks x 3: x, y, z in block widths. All blocks have one density: mass is the volume.
    """
    return np.array(_centers_of_mass(tower, carriers(tower))).reshape(-1, 3)


def _centers_of_mass(tower: Sequence[Block], below: Sequence[int]) -> list[Vector]:
    """Compute the same, given what each block rests on.

    Plain numbers: for the few blocks of a tower they are faster than arrays.
    """
    masses = [math.prod(block.edges) for block in tower]
    moments = [
        (mass * block.x, mass * block.y, mass * block.z)
        for mass, block in zip(masses, tower, strict=True)
    ]
    for index in range(len(tower) - 1, 1, -1):
        carrier = below[index - 1]
        masses[carrier] += masses[index]
        (x, y, z), (other_x, other_y, other_z) = moments[carrier], moments[index]
        moments[carrier] = (x + other_x, y + other_y, z + other_z)
    return [(x / m, y / m, z / m) for m, (x, y, z) in zip(masses[1:], moments[1:], strict=True)]


def level_margins(tower: Sequence[Block]) -> Floats:
    """Compute the margin of every block but the first, in block widths, in their order.

    A block stands while the center of mass of it and all that it carries lies over the top face of
    the block below. Its margin is the smaller of width / 2 - |dx| and depth / 2 - |dz|, where (dx,
    dz) is the offset of that center from the middle of the block below, in the latter's own frame.
    A block that stands alone gives an empty result.

    Strictly, a block is supported only where its lower face and the top face below overlap, but the
    top faces suffice for any sizes and yaws. Suppose that all that block k carries stands. The
    center of mass of k with all of it is an average of k's own center and the centers of mass of
    what rests on k, each with all that it carries. They all lie over k's face, and a face is
    convex: so does their average. If it also lies over the face below, it lies over both faces, and
    the contact supports it.
    """
    below = carriers(tower)
    margins = []
    for carrier, (x, _, z) in zip(below, _centers_of_mass(tower, below), strict=True):
        block = tower[carrier]
        width, _, depth = block.edges
        cos, sin = math.cos(block.yaw), math.sin(block.yaw)
        dx, dz = x - block.x, z - block.z
        margins.append(
            min(width / 2 - abs(cos * dx - sin * dz), depth / 2 - abs(sin * dx + cos * dz))
        )
    return np.array(margins)


def overhangs(centers: Floats, yaws: Floats, sizes: Floats) -> Floats:
    """Compute how far the center of mass above each block is from its middle, for stacks of cubes.

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
    """Compute the smallest margin: positive if all stand, half the narrower side if alone."""
    width, _, depth = tower[0].edges
    return float(level_margins(tower).min(initial=min(width, depth) / 2))


def overlaps(first: Block, second: Block, tolerance: float) -> bool:
    """Return whether two upright boxes overlap by more than `tolerance` along every axis.

    Exact, by separating axes: the vertical and the sides of both rectangles.
    """
    if abs(first.y - second.y) >= (first.size + second.size) / 2 - tolerance:
        return False
    gap_x, gap_z = second.x - first.x, second.z - first.z
    turn = second.yaw - first.yaw
    along, across = abs(math.cos(turn)), abs(math.sin(turn))
    for block, other in ((first, second), (second, first)):
        width, _, depth = block.edges
        other_width, _, other_depth = other.edges
        cos, sin = math.cos(block.yaw), math.sin(block.yaw)
        reach_x = (width + along * other_width + across * other_depth) / 2
        reach_z = (depth + across * other_width + along * other_depth) / 2
        if (
            abs(cos * gap_x - sin * gap_z) >= reach_x - tolerance
            or abs(sin * gap_x + cos * gap_z) >= reach_z - tolerance
        ):
            return False
    return True
