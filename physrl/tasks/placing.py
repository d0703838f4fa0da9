"""What the tasks share that move a red block: where it stands best, and what comes of a move.

All blocks' centres lie in the plane z = 0 that faces the camera.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import level_margins, margin, overlaps
from physrl.environments.randomness import Streams
from physrl.environments.sampling import sample_beside, sample_tower
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.errors import SceneError
from physrl.tasks.answers import LARGEST_OFFSET, UNITS
from physrl.tasks.release import Release
from physrl.types import Action, Block, Offset, Outcome, SceneSpec, Unparseable

OVERLAP_TOLERANCE = 0.05
"""An answer this much too low or too close counts as touching, in block widths."""
GIVE_UP_BEYOND = 1.0
"""Nothing that is rewarded changes once a block has moved this far."""
TOWERS = 20
"""Standing towers tried for a scene; nearly every one carries another block."""
FARTHEST = round(LARGEST_OFFSET * UNITS)
"""The largest answer."""


def sample_carrying(
    rng: np.random.Generator, settings: EnvironmentConfig, num_blocks: int
) -> tuple[tuple[Block, ...], Block]:
    """A tower that stands, and a red block beside it that it can carry.

    Args:
        num_blocks: of the tower, without the red one.

    Raises:
        SceneError: no such tower was found.
    """
    smallest = settings.margin[0]
    for _ in range(TOWERS):
        tower = sample_tower(rng, settings, num_blocks, stable=True, depth=False)
        red = sample_beside(rng, tower)
        _, best = best_shift((*tower, resting_on(red, tower[-1])), num_blocks)
        if best >= smallest:
            return tower, red
    raise SceneError(
        f"none of {TOWERS} towers of {num_blocks} blocks carries another one with a margin of "
        f"{smallest}: lower environment.margin"
    )


def draw_side(streams: Streams) -> int:
    """1 for one scene of a pair, -1 for the other."""
    return 1 if bool(streams.pair.random() < 0.5) != streams.second else -1


@lru_cache(maxsize=4096)
def best_shift(stack: tuple[Block, ...], index: int) -> tuple[float, float]:
    """Where a block of a stack stands best: how far to move it along x, and the margin then.

    Of all answers, the one with the largest margin over the levels that the block is part of. Each
    of them is a concave function of the block's place, so is their smallest, and halving finds its
    top. Remembered, because each of a group's answers about a scene is held against it.
    """

    def smallest(units: int) -> float:
        return float(level_margins(_shifted(stack, index, units))[: index + 1].min())

    low, high = -FARTHEST, FARTHEST
    while low < high:
        middle = (low + high) // 2
        if smallest(middle) < smallest(middle + 1):
            low = middle + 1
        else:
            high = middle
    return low / UNITS, margin(_shifted(stack, index, low))


def resting_on(block: Block, below: Block) -> Block:
    """The block at the height at which it rests on another, wherever it is sideways."""
    return replace(block, y=below.y + (below.size + block.size) / 2)


def ideal_on_top(scene: SceneSpec) -> Offset:
    """The offset to where the taller tower stands with the largest margin."""
    red, top = scene.blocks[-1], scene.tower[-1]
    lifted = resting_on(red, top)
    x, _ = best_shift((*scene.tower, lifted), len(scene.tower))
    return Offset(x, round((lifted.y - red.y) * UNITS) / UNITS)


def release_moved(scene: SceneSpec, action: Action, give_up_beyond: float) -> Release | None:
    """The red block put where the answer says; None if it does not fit there, or for no answer.

    A block that is too low by less than the tolerance is lifted until it touches.
    """
    if not isinstance(action, Offset):
        return None
    red, tower = scene.blocks[-1], scene.tower
    moved = replace(red, x=red.x + action.x, y=red.y + action.y)
    if moved.y < moved.size / 2 - OVERLAP_TOLERANCE or any(
        overlaps(moved, block, OVERLAP_TOLERANCE) for block in tower
    ):
        return None
    resting = support_height(moved, tower) + moved.size / 2
    moved = replace(moved, y=max(moved.y, resting))
    return Release((*tower, moved), moved.y - resting, give_up_beyond)


def outcome_on_top(
    scene: SceneSpec, action: Action, ideal: Offset, release: Release | None, simulator: Simulator
) -> Outcome:
    """Let the red block go where it was put: it succeeds if it comes to rest on top of the tower.

    It may drop onto it; nothing may slip by more than a block that has fallen.
    """
    if isinstance(action, Unparseable):
        return Outcome("unparseable", success=False)
    away = distance(action, ideal)
    if release is None:
        return Outcome("illegal", success=False, distance=away)
    settled = release.settle(simulator)
    red, tower_height = scene.blocks[-1], height(scene.tower)
    before = max(tower_height, red.size)
    gain = max(pose.position[1] + pose.size / 2 for pose in settled.poses) - before
    taller = settled.at_rest and gain > tower_height + red.size - before - FALL_DISPLACEMENT
    slips = [*settled.displacements[:-1], settled.displacements[-1] - release.drop]
    return Outcome(
        "settled",
        success=taller and max(slips) <= FALL_DISPLACEMENT,
        height_gain=float(gain) if settled.at_rest else 0.0,
        displacement=max(settled.displacements),
        distance=away,
        poses=settled.poses,
        motion=settled.motion,
    )


def distance(action: Action, ideal: Offset) -> float:
    """From the answered place to the ideal one, in block widths."""
    assert isinstance(action, Offset)
    return float(np.hypot(action.x - ideal.x, action.y - ideal.y))


def height(tower: Sequence[Block]) -> float:
    """Of the highest upper face, in block widths."""
    return max(block.y + block.size / 2 for block in tower)


def support_height(block: Block, tower: Sequence[Block]) -> float:
    """The height of what lies under a block: the ground, or the top of a block of the tower."""
    tops = [
        below.y + below.size / 2
        for below in tower
        if below.y < block.y and overlaps(replace(below, y=block.y), block, OVERLAP_TOLERANCE)
    ]
    return max(tops, default=0.0)


def _shifted(stack: tuple[Block, ...], index: int, units: int) -> tuple[Block, ...]:
    block = replace(stack[index], x=stack[index].x + units / UNITS)
    return (*stack[:index], block, *stack[index + 1 :])
