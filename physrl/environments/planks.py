"""Random planks with blocks on them, many at a time.

Planks and posts are parallel to the image, so that all that is on them balances along x alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import Floats
from physrl.environments.palette import PALETTES
from physrl.environments.sampling import sample_yaws
from physrl.types import Block

THICKNESS, DEPTH = 0.2, 0.6
LENGTHS = (3.0, 4.6)
LOADS = (0.4, 1.3)
"""Edge lengths of the blocks on a plank: the largest weighs 34 times as much as the smallest."""
MOST_LARGE = 3
"""Number of blocks up to which they have these edge lengths; more are smaller in proportion."""


@dataclass(frozen=True, slots=True)
class Planks:
    """Planks in rows, with equally many blocks on each; places are relative to its middle."""

    lengths: Floats
    sizes: Floats
    """Rows x blocks: edge lengths, from left to right."""
    centers: Floats
    """Rows x blocks."""
    yaws: Floats
    """Rows x blocks."""
    fits: NDArray[np.bool_]
    """True in the rows in which the blocks fit on the plank without touching."""

    @property
    def masses(self) -> Floats:
        """Mass of each plank with its blocks."""
        total: Floats = (self.sizes**3).sum(axis=1) + THICKNESS * DEPTH * self.lengths
        return total

    @property
    def balances(self) -> Floats:
        """Center of mass of each plank with its blocks."""
        balance: Floats = (self.sizes**3 * self.centers).sum(axis=1) / self.masses
        return balance

    def rows(self, kept: NDArray[np.bool_]) -> "Planks":
        """Return some of the planks."""
        return Planks(*(getattr(self, field.name)[kept] for field in fields(self)))

    def place(self, row: int, x: float, y: float, colors: Sequence[str]) -> tuple[Block, ...]:
        """Build the plank of a row, then the blocks on it from left to right.

        Args:
            x: Middle of the plank.
            y: Height of its lower face.
            colors: Color of the plank, then those of the blocks.
        """
        stretch = (float(self.lengths[row]) / THICKNESS, DEPTH / THICKNESS)
        blocks = [Block(x, y + THICKNESS / 2, 0.0, 0.0, colors[0], THICKNESS, stretch)]
        rows = (self.sizes[row].tolist(), self.centers[row].tolist(), self.yaws[row].tolist())
        for color, size, center, yaw in zip(colors[1:], *rows, strict=False):
            blocks.append(Block(x + center, y + THICKNESS + size / 2, 0.0, yaw, color, size))
        return tuple(blocks)


def reach(sizes: Floats, yaws: Floats) -> Floats:
    """Compute half the width of turned cubes."""
    half: Floats = sizes * (np.abs(np.cos(yaws)) + np.abs(np.sin(yaws))) / 2
    return half


def sample_planks(
    rng: np.random.Generator, settings: EnvironmentConfig, rows: int, num_blocks: int
) -> Planks:
    """Sample planks with `num_blocks` blocks side by side on each."""
    lengths = rng.uniform(*LENGTHS, rows)
    sizes = rng.uniform(*LOADS, (rows, num_blocks)) * min(1.0, MOST_LARGE / num_blocks)
    yaws = sample_yaws(rng, settings, (rows, num_blocks))
    widths = 2 * reach(sizes, yaws)
    free = lengths - widths.sum(axis=1)
    shares = np.sort(rng.uniform(0, 1, (rows, num_blocks)), axis=1)
    centers = shares * free[:, None] + np.cumsum(widths, axis=1) - widths / 2
    return Planks(lengths, sizes, centers - lengths[:, None] / 2, yaws, free > 0.1)


def draw_colors(rng: np.random.Generator, settings: EnvironmentConfig) -> list[str]:
    """Return the colors of blocks that are not red, in random order."""
    return [str(color) for color in rng.permutation(PALETTES[settings.colors])]
