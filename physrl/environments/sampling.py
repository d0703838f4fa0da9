"""Random towers, drawn from the random stream of their scene."""

from dataclasses import dataclass, replace

import numpy as np

from physrl.config.environment import EnvironmentConfig, SizesName
from physrl.environments.geometry import Floats, overhangs, overlaps
from physrl.environments.palette import PALETTES
from physrl.errors import SceneError
from physrl.types import Block

LARGEST_STEP = 0.6
"""Largest sideways offset between neighbors, unless the settings name one."""
BATCH = 32
BATCHES = 1000
BASE_RANGE = 0.8
"""Largest distance of the lowest block from the image's middle column, in block widths."""
BESIDE = (1.4, 3.8)
"""Bounds of the distance between the centers of a red block beside a tower and its top block."""
Intervals = tuple[tuple[float, float], ...]
SIZES: dict[SizesName, Intervals] = {
    "equal": ((1.0, 1.0),),
    "mixed": ((0.7, 1.3),),
    "held_out": ((0.6, 0.7), (1.3, 1.4)),
}
"""Intervals of edge lengths: of mixed sizes the largest block weighs 6.4 times as much as the
smallest one, of held-out sizes 12.7 times."""


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
    largest = settings.largest_step or LARGEST_STEP
    if num_blocks == 1:
        high = np.inf  # a single block always has the largest margin
    for _ in range(BATCHES):
        shape = (BATCH, num_blocks - 1, 2)
        offsets = rng.uniform(-largest, largest, shape)
        if not depth:
            offsets[..., 1] = 0
        yaws = sample_yaws(rng, settings, (BATCH, num_blocks))
        sizes = sample_sizes(rng, SIZES[settings.sizes or "equal"], (BATCH, num_blocks))
        margins = batch_margins(offsets, yaws, sizes)
        signed = margins if stable else -margins
        (matches,) = np.nonzero((low <= signed) & (signed <= high))
        if matches.size:
            k = matches[0]
            return place_tower(rng, settings, Shape(offsets[k], yaws[k], sizes[k]))
    raise SceneError(
        f"no {'stable' if stable else 'unstable'} tower of {num_blocks} blocks with a margin of "
        f"{low} to {high} in {BATCH * BATCHES} attempts: widen environment.margin or raise "
        f"environment.largest_step, which is {largest:g}"
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


def sample_sizes(rng: np.random.Generator, intervals: Intervals, shape: tuple[int, ...]) -> Floats:
    """Sample edge lengths of blocks, each from one of the intervals."""
    drawn_from = np.array(intervals)[rng.integers(len(intervals), size=shape)]
    drawn: Floats = rng.uniform(drawn_from[..., 0], drawn_from[..., 1])
    return drawn


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


def sample_beside(rng: np.random.Generator, tower: tuple[Block, ...], red: Block) -> Block:
    """Sample a place of the red block on the ground, left or right of the tower and clear of it."""
    while True:
        x = tower[-1].x + float(rng.choice([-1, 1]) * rng.uniform(*BESIDE))
        placed = replace(red, x=x, y=red.size / 2)
        if not any(overlaps(placed, block, 0.0) for block in tower):
            return placed
