"""Exact static stability of boxes of which each rests on the ground or on one other box."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from physrl.types import Block

Floats = NDArray[np.float64]


HEIGHT_TOLERANCE = 1e-6
"""Largest difference in height, in block widths, at which a block rests on another."""


def carriers(tower: Sequence[Block]) -> list[int]:
    """Find what each block but the first rests on: the last block before it that ends below it.

    In a stack each block rests on the one before it; blocks side by side on a plank share theirs.
    """
    found = []
    for index, block in enumerate(tower[1:], 1):
        bottom = block.y - block.size / 2 + HEIGHT_TOLERANCE
        ends = (below.y + below.size / 2 for below in reversed(tower[:index]))
        found.append(next((index - k for k, end in enumerate(ends, 1) if end <= bottom), 0))
    return found


def centers_of_mass(tower: Sequence[Block]) -> Floats:
    """Compute the center of mass of each block but the first with all that it carries.

    Returns:
        Blocks x 3: x, y, z in block widths. All blocks have one density: mass is the volume.
    """
    stretches = np.array([math.prod(block.stretch) for block in tower])
    masses = np.array([block.size for block in tower]) ** 3 * stretches
    moments = masses[:, None] * np.array([(block.x, block.y, block.z) for block in tower])
    below = carriers(tower)
    for index in range(len(tower) - 1, 1, -1):
        masses[below[index - 1]] += masses[index]
        moments[below[index - 1]] += moments[index]
    centers: Floats = moments[1:] / masses[1:, None]
    return centers


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
    if len(tower) < 2:
        return np.empty(0)
    below = [tower[index] for index in carriers(tower)]
    offsets = centers_of_mass(tower) - np.array([(block.x, block.y, block.z) for block in below])
    yaws = np.array([block.yaw for block in below])
    halves = np.array([block.edges for block in below]) / 2
    dx, dz = np.abs(_own_frame(offsets[:, 0], offsets[:, 2], yaws))
    margins: Floats = np.minimum(halves[:, 0] - dx, halves[:, 2] - dz)
    return margins


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
    dx, dz = np.abs(_own_frame(offsets[..., 0], offsets[..., 1], yaws[:, :-1]))
    largest: Floats = np.maximum(dx, dz)
    return largest


def _own_frame(dx: Floats, dz: Floats, yaws: Floats) -> tuple[Floats, Floats]:
    """Turn offsets into the frames of blocks."""
    cos, sin = np.cos(yaws), np.sin(yaws)
    return cos * dx - sin * dz, sin * dx + cos * dz


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
    gap = np.array([second.x - first.x, second.z - first.z])
    turn = second.yaw - first.yaw
    along, across = abs(np.cos(turn)), abs(np.sin(turn))
    for block, other in ((first, second), (second, first)):
        width, _, depth = block.edges
        other_width, _, other_depth = other.edges
        reaches = (
            (width + along * other_width + across * other_depth) / 2,
            (depth + across * other_width + along * other_depth) / 2,
        )
        cos, sin = np.cos(block.yaw), np.sin(block.yaw)
        sides = (np.array([cos, -sin]), np.array([sin, cos]))
        for side, reach in zip(sides, reaches, strict=True):
            if abs(gap @ side) >= reach - tolerance:
                return False
    return True
