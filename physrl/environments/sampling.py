"""Towers drawn from a scene's own random stream."""

from dataclasses import dataclass

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import Floats, overlaps, reaches
from physrl.environments.palette import PALETTES, RED
from physrl.errors import SceneError
from physrl.types import Block

BATCH = 32
BATCHES = 1000
BASE_RANGE = 0.8
"""The lowest block stands within this distance of the picture's middle column."""
SIZES = (0.8, 1.2)
"""Edges of blocks of mixed sizes: the largest weighs 3.4 times as much as the smallest."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A tower without its place and colours."""

    offsets: Floats
    """Levels x 2: x and z of each block but the lowest, from the block below it."""
    yaws: Floats
    """One a block."""
    sizes: Floats
    """One a block."""


def sample_tower(
    rng: np.random.Generator,
    settings: EnvironmentConfig,
    num_blocks: int,
    *,
    stable: bool,
    depth: bool,
) -> tuple[Block, ...]:
    """A single stack whose |margin| lies in the configured interval, bottom first.

    Args:
        depth: whether blocks are also offset towards and away from the viewer.

    Raises:
        SceneError: no such tower was found.
    """
    low, high = settings.margin
    if num_blocks == 1:
        high = np.inf  # it cannot stand less well
    for _ in range(BATCHES):
        shape = (BATCH, num_blocks - 1, 2)
        offsets = rng.uniform(-settings.largest_step, settings.largest_step, shape)
        if not depth:
            offsets[..., 1] = 0
        yaws = sample_yaws(rng, settings, (BATCH, num_blocks))
        sizes = sample_sizes(rng, settings, (BATCH, num_blocks))
        margins = batch_margins(offsets, yaws, sizes)
        signed = margins if stable else -margins
        (found,) = np.nonzero((low <= signed) & (signed <= high))
        if found.size:
            k = found[0]
            return place_tower(rng, settings, Shape(offsets[k], yaws[k], sizes[k]))
    raise SceneError(
        f"no {'stable' if stable else 'unstable'} tower of {num_blocks} blocks with a margin of "
        f"{low} to {high} in {BATCH * BATCHES} tries: widen environment.margin or raise "
        f"environment.largest_step, which is {settings.largest_step:g}"
    )


def place_tower(
    rng: np.random.Generator, settings: EnvironmentConfig, shape: Shape
) -> tuple[Block, ...]:
    """The tower of a shape, at a place near the picture's middle and in colours of its own."""
    base = rng.uniform(-BASE_RANGE, BASE_RANGE)
    colors = rng.permutation(PALETTES[settings.colors])
    centres = np.array([base, 0.0]) + centres_of(shape.offsets)
    bottoms = np.cumsum(shape.sizes) - shape.sizes
    return tuple(
        Block(float(x), float(bottom + size / 2), float(z), float(yaw), str(color), float(size))
        for (x, z), bottom, size, yaw, color in zip(
            centres, bottoms, shape.sizes, shape.yaws, colors[: len(centres)], strict=True
        )
    )


def sample_yaws(
    rng: np.random.Generator, settings: EnvironmentConfig, shape: tuple[int, ...]
) -> Floats:
    """The turns of towers' blocks (the last axis): one common to a tower, and each block's own."""
    common = rng.uniform(-settings.yaw, settings.yaw, (*shape[:-1], 1))
    return common + rng.uniform(-settings.yaw_jitter, settings.yaw_jitter, shape)


def sample_sizes(
    rng: np.random.Generator, settings: EnvironmentConfig, shape: tuple[int, ...]
) -> Floats:
    """The edges of blocks."""
    if settings.sizes == "equal":
        return np.ones(shape)
    return rng.uniform(*SIZES, shape)


def centres_of(offsets: Floats) -> Floats:
    """... x levels x 2 offsets to ... x blocks x 2 centres, the lowest block's at 0."""
    *towers, levels, _ = offsets.shape
    centres: Floats = np.zeros((*towers, levels + 1, 2))
    np.cumsum(offsets, axis=-2, out=centres[..., 1:, :])
    return centres


def batch_margins(offsets: Floats, yaws: Floats, sizes: Floats) -> Floats:
    """The margins of many towers, one a row of each argument."""
    levels = sizes[:, :-1] / 2 - reaches(centres_of(offsets), yaws, sizes)
    margins: Floats = np.min(levels, axis=1, initial=np.inf)
    return np.minimum(margins, sizes[:, 0] / 2)


def sample_beside(rng: np.random.Generator, tower: tuple[Block, ...]) -> Block:
    """A red block on the ground to the left or right of the tower, free of all its blocks."""
    while True:
        red = _beside(rng, tower[0])
        if not any(overlaps(red, block, 0.0) for block in tower):
            return red


def _beside(rng: np.random.Generator, base: Block) -> Block:
    """A red block beside the lowest one; a block above that may still reach into it."""
    gap = rng.uniform(1.4, 2.1)
    side = rng.choice([-1, 1])
    if abs(base.x + side * gap) > 2.4:
        side = -side
    return Block(float(base.x + side * gap), 0.5, 0.0, base.yaw, RED)
