"""A simulator that decides by the exact criterion: a hundred times as fast as PyBullet."""

import math
from collections.abc import Sequence
from dataclasses import replace

from physrl.environments.geometry import margin
from physrl.environments.simulator import Settled, Simulator, start_pose
from physrl.tasks.placing import OVERLAP_TOLERANCE
from physrl.types import Block, Still

FALLEN = 1.0
"""Displacement of a block that falls, in block widths."""


class ExactSimulator(Simulator):
    """The outcome of releasing a stack, or a stack and one block that is apart from it.

    A block that is apart drops straight down, and the others stand as they do without it. That is
    wrong for a block that lands on a lower block's edge: no task calls that a success either.
    """

    def __init__(self) -> None:
        """Open no world."""

    def close(self) -> None:
        """Close nothing."""

    def settle(
        self,
        blocks: Sequence[Block],
        drop: float = 0.0,
        give_up_beyond: float = math.inf,
        patience: float = 1.0,
    ) -> Settled:
        *others, last = blocks
        landed = replace(last, y=last.y - drop)
        stack = [*others, landed] if _rests_on(landed, others[-1]) else others
        stands = margin(stack) > 0
        moved = 0.0 if stands else FALLEN
        displacements = (*(moved for _ in others), drop + moved * (len(stack) > len(others)))
        poses = tuple(start_pose(block) for block in (*others, landed))
        return Settled(poses, displacements, stands, 0, Still())


def _rests_on(block: Block, below: Block) -> bool:
    """Return whether the faces of two blocks touch (x overlaps; all are in one plane)."""
    touching = abs(block.y - below.y - (block.size + below.size) / 2) < OVERLAP_TOLERANCE
    return touching and abs(block.x - below.x) < (block.size + below.size) / 2
