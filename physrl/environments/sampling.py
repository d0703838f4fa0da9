"""Random towers, drawn from the random stream of their scene."""

from dataclasses import dataclass

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import Floats, overhangs, overlaps
from physrl.environments.palette import PALETTES, RED
from physrl.errors import SceneError
from physrl.types import Block

BATCH = 32
BATCHES = 1000
BASE_RANGE = 0.8
"""Largest distance of the lowest block from the image's middle column, in block widths."""
SIZES = (0.8, 1.2)
"""Edge lengths of blocks of mixed sizes: the largest weighs 3.4 times as much as the smallest."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A tower without position and colors."""

    offsets: Floats
    """Levels x 2: x and z of each block but the lowest, relative to the block below it."""
    yaws: Floats
    """Yaw of each block."""
    sizes: Floats
    """Edge length of each block."""


def sample_tower(
    rng: np.random.Generator,
    settings: EnvironmentConfig,
    num_blocks: int,
    *,
    stable: bool,
    depth: bool,
) -> tuple[Block, ...]:
    """Sample a single stack whose |margin| lies in the configured interval, bottom first.

    Args:
        depth: also offset blocks towards and away from the viewer.

    Raises:
        SceneError: no such tower was found.
    """
    low, high = settings.margin
    if num_blocks == 1:
        high = np.inf  # a single block always has the largest margin
    for _ in range(BATCHES):
        shape = (BATCH, num_blocks - 1, 2)
        offsets = rng.uniform(-settings.largest_step, settings.largest_step, shape)
        if not depth:
            offsets[..., 1] = 0
        yaws = sample_yaws(rng, settings, (BATCH, num_blocks))
        sizes = sample_sizes(rng, settings, (BATCH, num_blocks))
        margins = batch_margins(offsets, yaws, sizes)
        signed = margins if stable else -margins
        (matches,) = np.nonzero((low <= signed) & (signed <= high))
        if matches.size:
            k = matches[0]
            return place_tower(rng, settings, Shape(offsets[k], yaws[k], sizes[k]))
    raise SceneError(
        f"no {'stable' if stable else 'unstable'} tower of {num_blocks} blocks with a margin of "
        f"{low} to {high} in {BATCH * BATCHES} attempts: widen environment.margin or raise "
        f"environment.largest_step, which is {settings.largest_step:g}"
    )


def place_tower(
    rng: np.random.Generator, settings: EnvironmentConfig, shape: Shape
) -> tuple[Block, ...]:
    """Build a tower of a given shape with a random position near the middle and random colors."""
    base = rng.uniform(-BASE_RANGE, BASE_RANGE)
    colors = rng.permutation(PALETTES[settings.colors])
    centers = np.array([base, 0.0]) + block_centers(shape.offsets)
    bottoms = np.cumsum(shape.sizes) - shape.sizes
    return tuple(
        Block(float(x), float(bottom + size / 2), float(z), float(yaw), str(color), float(size))
        for (x, z), bottom, size, yaw, color in zip(
            centers, bottoms, shape.sizes, shape.yaws, colors[: len(centers)], strict=True
        )
    )


def sample_yaws(
    rng: np.random.Generator, settings: EnvironmentConfig, shape: tuple[int, ...]
) -> Floats:
    """Sample yaws (last axis: blocks): one shared by a tower, plus a jitter for each block."""
    common = rng.uniform(-settings.yaw, settings.yaw, (*shape[:-1], 1))
    return common + rng.uniform(-settings.yaw_jitter, settings.yaw_jitter, shape)


def sample_sizes(
    rng: np.random.Generator, settings: EnvironmentConfig, shape: tuple[int, ...]
) -> Floats:
    """Sample edge lengths of blocks."""
    if settings.sizes == "equal":
        return np.ones(shape)
    return rng.uniform(*SIZES, shape)


def block_centers(offsets: Floats) -> Floats:
    """Convert offsets (... x levels x 2) to centers (... x blocks x 2), the lowest block's at 0."""
    *towers, levels, _ = offsets.shape
    centers: Floats = np.zeros((*towers, levels + 1, 2))
    np.cumsum(offsets, axis=-2, out=centers[..., 1:, :])
    return centers


def batch_margins(offsets: Floats, yaws: Floats, sizes: Floats) -> Floats:
    """Compute the margins of many towers; each row of an argument belongs to one tower."""
    levels = sizes[:, :-1] / 2 - overhangs(block_centers(offsets), yaws, sizes)
    margins: Floats = np.min(levels, axis=1, initial=np.inf)
    return np.minimum(margins, sizes[:, 0] / 2)


def sample_beside(rng: np.random.Generator, tower: tuple[Block, ...]) -> Block:
    """Sample a red block on the ground, left or right of the tower and clear of all its blocks."""
    while True:
        red = _sample_beside_base(rng, tower[0])
        if not any(overlaps(red, block, 0.0) for block in tower):
            return red


def _sample_beside_base(rng: np.random.Generator, base: Block) -> Block:
    """Sample a red block next to the lowest one; higher blocks may still overlap it."""
    gap = rng.uniform(1.4, 2.1)
    side = rng.choice([-1, 1])
    if abs(base.x + side * gap) > 2.4:
        side = -side
    return Block(float(base.x + side * gap), 0.5, 0.0, base.yaw, RED)
