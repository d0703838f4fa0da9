"""Functions that the tasks with a red block share: its best place, and the outcome of a move.

All blocks' centers lie in the plane z = 0, which faces the camera.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import level_margins, margin, overlaps
from physrl.environments.palette import RED
from physrl.environments.randomness import Streams
from physrl.environments.sampling import place_tower
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.errors import SceneError
from physrl.tasks.answers import LARGEST_OFFSET, UNITS
from physrl.tasks.landmarks import Guess, Landmarks, all_guesses, find_landmarks
from physrl.tasks.release import Release
from physrl.tasks.stacks import BATCHES, draw_count, fair_shapes
from physrl.types import Action, Block, Offset, Outcome, SceneSpec, Unparseable

OVERLAP_TOLERANCE = 0.05
"""Largest overlap that counts as touching, in block widths."""
GIVE_UP_BEYOND = 1.0
"""Displacement at which simulations end early, in block widths: no reward changes beyond it."""
FARTHEST = round(LARGEST_OFFSET * UNITS)
"""Largest answer, in hundredths of a block width."""


def sample_carrying(
    rng: np.random.Generator, settings: EnvironmentConfig
) -> tuple[tuple[Block, ...], Block]:
    """Draw a tower, and over the center of its top a red block with which it can stand.

    Without the red block, or with it where it is drawn, the tower may fall.

    Raises:
        SceneError: no such tower was found.
    """
    num_blocks = draw_count(rng, settings)
    index, (smallest, largest) = num_blocks - 1, settings.margin
    for shape in fair_shapes(rng, settings, num_blocks, index):
        blocks = place_tower(rng, settings, shape)
        if best_shift(blocks, index)[1] >= smallest:
            return blocks[:-1], replace(blocks[-1], color=RED)
    raise SceneError(
        f"no stack of {num_blocks} blocks has a margin of {smallest:g} to {largest:g} with the top "
        f"one in its best place, in {sum(BATCHES)} tries: widen environment.margin or raise "
        "environment.largest_step"
    )


def draw_side(streams: Streams) -> int:
    """Return 1 for one scene of a pair, -1 for the other."""
    return 1 if bool(streams.pair.random() < 0.5) != streams.second else -1


@lru_cache(maxsize=4096)
def best_shift(stack: tuple[Block, ...], index: int) -> tuple[float, float]:
    """Return the shift along x after which a block of a stack stands best, and the margin then.

    The best of all answers has the largest margin over the levels that the block is part of. Each
    margin is a concave function of the block's place, so is their minimum, and bisection finds its
    maximum. Cached, because every answer of a group is compared with it.
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
    """Return a block at the height at which it rests on another; x stays."""
    return replace(block, y=below.y + (below.size + block.size) / 2)


def carrying_block(tower: Sequence[Block]) -> Block:
    """Return the block that a red one is put on: the plank if there is one, else the top block."""
    return next((block for block in tower if block.stretch[0] > 1), tower[-1])


def ideal_on_top(scene: SceneSpec) -> Offset:
    """Return the offset after which the taller tower stands with the largest margin."""
    red = scene.blocks[-1]
    lifted = resting_on(red, carrying_block(scene.tower))
    x, _ = best_shift((*scene.tower, lifted), len(scene.tower))
    return Offset(x, round((lifted.y - red.y) * UNITS) / UNITS)


def guessed_on_top(scene: SceneSpec, guess: Guess) -> Offset:
    """Return a guess's answer about x; the height is the right one."""
    return replace(ideal_on_top(scene), x=guessed_shift(scene, len(scene.tower), guess))


def guesses_on_top(scene: SceneSpec) -> dict[Guess, Offset]:
    """Return the answers of all guesses."""
    ideal, shifts = ideal_on_top(scene), guessed_shifts(scene, len(scene.tower))
    return {guess: replace(ideal, x=shift) for guess, shift in shifts.items()}


def guessed_shift(scene: SceneSpec, index: int, guess: Guess) -> float:
    """Return by how much a guess moves a block of a stack along x, as answers are rounded."""
    return _shift(scene, index, guess, _landmarks(scene, index))


def guessed_shifts(scene: SceneSpec, index: int) -> dict[Guess, float]:
    """Return by how much each guess moves a block of a stack along x."""
    found = _landmarks(scene, index)
    return {guess: _shift(scene, index, guess, found) for guess in all_guesses(found)}


def release_moved(scene: SceneSpec, action: Action, give_up_beyond: float) -> Release | None:
    """Return the scene with the red block moved; None if it does not fit there, or for no answer.

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
    """Simulate the moved red block, which succeeds if it comes to rest where it was put.

    It may neither drop nor slip by more than `FALL_DISPLACEMENT`, nor may any other block.
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
        success=taller and max(*slips, release.drop) <= FALL_DISPLACEMENT,
        height_gain=float(gain) if settled.at_rest else 0.0,
        displacement=max(settled.displacements),
        distance=away,
        poses=settled.poses,
        motion=settled.motion,
    )


def distance(action: Action, ideal: Offset) -> float:
    """Return the distance from the answered place to the ideal one, in block widths."""
    assert isinstance(action, Offset)
    return float(np.hypot(action.x - ideal.x, action.y - ideal.y))


def height(tower: Sequence[Block]) -> float:
    """Return the height of the highest upper face, in block widths."""
    return max(block.y + block.size / 2 for block in tower)


def support_height(block: Block, tower: Sequence[Block]) -> float:
    """Return the height of a block's support: the ground, or the top of a block of the tower."""
    tops = [
        below.y + below.size / 2
        for below in tower
        if below.y < block.y and overlaps(replace(below, y=block.y), block, OVERLAP_TOLERANCE)
    ]
    return max(tops, default=0.0)


def _shifted(stack: tuple[Block, ...], index: int, units: int) -> tuple[Block, ...]:
    block = replace(stack[index], x=stack[index].x + units / UNITS)
    return (*stack[:index], block, *stack[index + 1 :])


def _landmarks(scene: SceneSpec, index: int) -> Landmarks:
    x = np.array([block.x for block in scene.blocks])
    return find_landmarks(x, np.array([block.size for block in scene.blocks]), index)


def _shift(scene: SceneSpec, index: int, guess: Guess, found: Landmarks) -> float:
    return round((float(guess.places(found)) - scene.blocks[index].x) * UNITS) / UNITS
