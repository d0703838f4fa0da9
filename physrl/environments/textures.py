"""Cloth texture: folds and creases drawn over one another on a repeating tile."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

TEXELS = 512
TILE_WIDTH = 8.0
"""Width of a tile before it repeats, in block widths."""

# Count, min and max length, min and max width (block widths), strength, and min and max direction
# (radians above the horizontal) of each kind of fold.
FOLDS = (
    (22, 2.5, 6.5, 0.20, 0.65, 1.20, 0.5, 1.5),  # hanging folds
    (8, 2.5, 6.5, 0.12, 0.35, 0.80, -0.9, 0.1),
    (110, 0.6, 2.2, 0.06, 0.22, 0.55, -1.6, 1.6),  # where it was folded and crumpled
    (600, 0.2, 0.9, 0.02, 0.06, 0.70, -1.6, 1.6),
)
SHARPNESS = 0.25
"""Width of the bright-to-dark transition across a fold, as a fraction of the fold's width."""


def cloth_tile(seed: int) -> NDArray[np.float32]:
    """Draw the brightness of crumpled cloth: mean 0, standard deviation 1, TEXELS x TEXELS."""
    rng = np.random.default_rng(seed)
    tile = np.zeros((TEXELS, TEXELS), np.float64)
    for count, shortest, longest, narrowest, widest, strength, low, high in FOLDS:
        folds = np.stack(
            [
                rng.uniform(0, TILE_WIDTH, count),
                rng.uniform(0, TILE_WIDTH, count),
                rng.uniform(low, high, count),
                rng.uniform(shortest, longest, count) / 2,
                rng.uniform(narrowest, widest, count),
                strength * rng.uniform(0.3, 1.0, count) * rng.choice([-1, 1], count),
                rng.uniform(-0.25, 0.25, count),
            ],
            axis=1,
        )
        draw_folds(tile, folds, TILE_WIDTH / TEXELS, SHARPNESS)
    tile -= tile.mean()
    scaled: NDArray[np.float32] = (tile / tile.std()).astype(np.float32)
    return scaled


@njit(cache=True)
def draw_folds(
    tile: NDArray[np.float64], folds: NDArray[np.float64], texel: float, sharpness: float
) -> None:
    """Add folds to a tile: bright on one side, dark on the other, fading towards both ends.

    Args:
        folds: rows of (column, row, direction, half length, width, strength, bend).
        texel: width of a texel, in block widths.
        sharpness: width of the bright-to-dark transition, as a fraction of a fold's width.
    """
    size = tile.shape[0]
    for n in range(folds.shape[0]):
        x0, y0, angle, half, width, strength, bend = folds[n]
        cos, sin = np.cos(angle), np.sin(angle)
        reach = int((half + 4 * width) / texel) + 1
        column, row = int(x0 / texel), int(y0 / texel)
        for i in range(-reach, reach + 1):
            for j in range(-reach, reach + 1):
                along = (j * cos - i * sin) * texel
                share = along / half
                if abs(share) >= 1:
                    continue
                across = (j * sin + i * cos) * texel + bend * half * share * share
                s = across / width
                if abs(s) > 4:
                    continue
                fade = 1 - share * share
                ridge = s / ((abs(s) + sharpness) * (1 + s * s) * (1 + s * s))
                tile[(row + i) % size, (column + j) % size] += strength * fade * fade * ridge
