"""Towers drawn from a scene's own random stream."""

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin
from physrl.environments.palette import RED, TOWER_COLORS
from physrl.errors import SceneError
from physrl.types import Block

TRIES = 20_000
BASE_RANGE = 0.8
"""The lowest block stands within this distance of the picture's middle column."""


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
    common_yaw = rng.uniform(-settings.yaw, settings.yaw)
    yaws = common_yaw + rng.uniform(-settings.yaw_jitter, settings.yaw_jitter, num_blocks)
    colors = rng.permutation(TOWER_COLORS)[:num_blocks]
    base = rng.uniform(-BASE_RANGE, BASE_RANGE)
    for _ in range(TRIES):
        steps = rng.uniform(-settings.largest_step, settings.largest_step, (num_blocks - 1, 2))
        if not depth:
            steps[:, 1] = 0
        xs = base + np.concatenate([[0], np.cumsum(steps[:, 0])])
        zs = np.concatenate([[0], np.cumsum(steps[:, 1])])
        tower = tuple(
            Block(float(x), 0.5 + level, float(z), float(yaw), str(color))
            for level, (x, z, yaw, color) in enumerate(zip(xs, zs, yaws, colors, strict=True))
        )
        signed = margin(tower) if stable else -margin(tower)
        if low <= signed and (signed <= high or num_blocks == 1):
            return tower
    raise SceneError(
        f"no {'stable' if stable else 'unstable'} tower of {num_blocks} blocks with a margin of "
        f"{low} to {high} in {TRIES} tries: widen environment.margin"
    )


def sample_beside(rng: np.random.Generator, tower: tuple[Block, ...]) -> Block:
    """A red block on the ground to the left or right of the tower, inside the picture."""
    base = tower[0]
    gap = rng.uniform(1.4, 2.1)
    side = rng.choice([-1, 1])
    if abs(base.x + side * gap) > 2.4:
        side = -side
    return Block(float(base.x + side * gap), 0.5, 0.0, base.yaw, RED)
