"""When a single stack of equal cubes stands: the exact static criterion."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from physrl.types import Block

HALF = 0.5


def level_margins(tower: Sequence[Block]) -> NDArray[np.float64]:
    """The margin of every level but the top, in block widths, bottom first.

    Level k holds while the centre of mass of all blocks above k lies over k's top face. Its margin
    is 0.5 - max(|dx|, |dz|) with (dx, dz) that centre of mass seen from k's centre in k's own
    frame. A lone block has no level and an empty result.
    """
    centres = np.array([(block.x, block.z) for block in tower])
    margins = np.empty(len(tower) - 1)
    for level in range(len(tower) - 1):
        dx, dz = centres[level + 1 :].mean(axis=0) - centres[level]
        cos, sin = np.cos(tower[level].yaw), np.sin(tower[level].yaw)
        margins[level] = HALF - max(abs(cos * dx - sin * dz), abs(sin * dx + cos * dz))
    return margins


def margin(tower: Sequence[Block]) -> float:
    """The smallest level margin; the tower stands if it is positive. 0.5 for a lone block."""
    return float(level_margins(tower).min(initial=HALF))


def overlaps(first: Block, second: Block, tolerance: float) -> bool:
    """Whether two upright cubes share space by more than `tolerance` along every axis.

    Exact: separating axes are the vertical and the sides of both squares.
    """
    if abs(first.y - second.y) >= 1 - tolerance:
        return False
    gap = np.array([second.x - first.x, second.z - first.z])
    turn = second.yaw - first.yaw
    reach = HALF + HALF * (abs(np.cos(turn)) + abs(np.sin(turn)))
    for yaw in (first.yaw, second.yaw):
        cos, sin = np.cos(yaw), np.sin(yaw)
        for axis in (np.array([cos, -sin]), np.array([sin, cos])):
            if abs(gap @ axis) >= reach - tolerance:
                return False
    return True
