"""Pairs of a standing and a falling tower that look alike to whoever does not look at the physics.

Both towers have the same blocks, the same offsets from block to block, the lowest ones in another
order, and turns that are the same or mirrored in the picture's plane. So they have the same number
of blocks, lean, largest, mean and top offset, and silhouettes of the same width; what differs is
which block carries what, and along which of its sides.

Margins are made equal by scaling. Scaled by s, a tower has the margin
M(s) = min over levels k of (size_k / 2 - s reach_k), and a pair A, B of order and turns has equal
margins of opposite sign where M_A(s) + M_B(s) = 0: at the smallest s at which, for some levels k of
A and l of B, size_k / 2 + size_l / 2 = s (reach_k of A + reach_l of B).
"""

import math
from functools import cache
from itertools import permutations, product

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import Floats, reaches
from physrl.environments.sampling import Shape, centres_of, sample_sizes, sample_yaws
from physrl.errors import SceneError

LARGEST_MARGINS = {2: 0.085, 3: 0.085, 4: 0.16, 5: 0.17, 6: 0.18}
"""Larger |margin| of twins are too rare to be found, by number of blocks (docs/environment.md).

Two blocks: with the offset along a side it falls, along the diagonal it stands; the lengths
0.5 + m and (0.5 - m) sqrt(2) are the same at m = 0.0858. With three only the turns differ too."""
WIDTH_TOLERANCE = 0.04
"""Largest difference of the silhouettes' widths, in block widths, seen from far away."""
NEAR_WIDTH_TOLERANCE = 0.02
"""The same, as the camera of level `none` sees them: what stands forward or high looks wider."""
NEAR, ABOVE, LOOKS_AT = 7.5, 3.1, 1.55
"""That camera's mean distance, height and the height that it looks at, in block widths."""
BATCH = 32
BATCHES = 2000


def sample_twins(
    rng: np.random.Generator, settings: EnvironmentConfig, num_blocks: int
) -> tuple[Shape, Shape]:
    """A standing tower and its falling twin, of equal |margin| in the configured interval.

    Raises:
        SceneError: twins of this margin do not exist, or were not found.
    """
    low, high = settings.margin
    limit = LARGEST_MARGINS[num_blocks]
    if low > limit:
        raise SceneError(
            f"environment.margin is [{low:g}, {high:g}]: twins of {num_blocks} blocks exist up to "
            f"{limit:g}; lower it, or set environment.twins=false (then lean tells most labels)"
        )
    orders, mirrors = _variants(num_blocks)
    for _ in range(BATCHES):
        offsets = rng.uniform(-1, 1, (BATCH, num_blocks - 1, 2))
        yaws = sample_yaws(rng, settings, (BATCH, num_blocks))
        sizes = sample_sizes(rng, settings, (num_blocks,))
        variant = rng.integers(len(orders), size=BATCH)
        other_offsets = offsets[np.arange(BATCH)[:, None], orders[variant]]
        other_yaws = mirrors[variant][:, None] * yaws
        scale, margins = _equalize(offsets, yaws, other_offsets, other_yaws, sizes)
        offsets *= scale[:, None, None]
        other_offsets *= scale[:, None, None]
        widths = silhouette_widths(offsets, yaws, sizes)
        other_widths = silhouette_widths(other_offsets, other_yaws, sizes)
        near = near_widths(offsets, yaws, sizes)
        other_near = near_widths(other_offsets, other_yaws, sizes)
        (found,) = np.nonzero(
            (low <= np.abs(margins))
            & (np.abs(margins) <= high)
            & (np.abs(offsets).max(axis=(1, 2)) <= settings.largest_step)
            & (np.abs(widths - other_widths) <= WIDTH_TOLERANCE)
            & (np.abs(near - other_near) <= NEAR_WIDTH_TOLERANCE)
        )
        if found.size:
            k = found[0]
            one = Shape(offsets[k], yaws[k], sizes)
            other = Shape(other_offsets[k], other_yaws[k], sizes)
            return (one, other) if margins[k] > 0 else (other, one)
    raise SceneError(
        f"no twins of {num_blocks} blocks with a margin of {low:g} to {high:g}, turned by at most "
        f"{settings.yaw + settings.yaw_jitter:g}, in {BATCH * BATCHES} tries: lower "
        "environment.margin, widen environment.yaw or raise environment.largest_step, which is "
        f"{settings.largest_step:g}"
    )


def silhouette_widths(offsets: Floats, yaws: Floats, sizes: Floats) -> Floats:
    """How wide towers are in the picture's plane, in block widths, seen from far away.

    Args:
        offsets: towers x levels x 2, as in `Shape`.
        yaws: towers x blocks.
        sizes: one a block.
    """
    middles = centres_of(offsets)[..., 0]
    halves = sizes * (np.abs(np.cos(yaws)) + np.abs(np.sin(yaws))) / 2
    widths: Floats = (middles + halves).max(axis=1) - (middles - halves).min(axis=1)
    return widths


def near_widths(offsets: Floats, yaws: Floats, sizes: Floats) -> Floats:
    """How wide towers are for a camera near by, in widths of a block that it looks straight at.

    Args:
        offsets: towers x levels x 2, as in `Shape`.
        yaws: towers x blocks.
        sizes: one a block.
    """
    along, up, across = (
        sizes[:, None] / 2 * np.array(side)
        for side in zip(*product((1, -1), repeat=3), strict=True)
    )
    cos, sin = np.cos(yaws)[..., None], np.sin(yaws)[..., None]
    middles = centres_of(offsets)[..., None, :]
    x = middles[..., 0] + cos * along + sin * across
    z = middles[..., 1] - sin * along + cos * across
    y = (np.cumsum(sizes) - sizes / 2)[:, None] + up
    far = math.hypot(NEAR, ABOVE - LOOKS_AT)
    depth = ((NEAR - z) * NEAR + (ABOVE - y) * (ABOVE - LOOKS_AT)) / far
    columns = (x * far / depth).reshape(len(yaws), -1)
    widths: Floats = np.ptp(columns, axis=1)
    return widths


def _equalize(
    offsets: Floats, yaws: Floats, other_offsets: Floats, other_yaws: Floats, sizes: Floats
) -> tuple[Floats, Floats]:
    """The scale of the offsets that makes margins opposite, and the first towers' margins."""
    all_sizes = np.broadcast_to(sizes, yaws.shape)
    one = reaches(centres_of(offsets), yaws, all_sizes)
    other = reaches(centres_of(other_offsets), other_yaws, all_sizes)
    halves = sizes[:-1] / 2
    scales = (halves[:, None] + halves) / (one[:, :, None] + other[:, None, :])
    scale = scales.min(axis=(1, 2))
    return scale, (halves - scale[:, None] * one).min(axis=1)


@cache
def _variants(num_blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """How a twin may differ: orders of the offsets, the top one's kept, and signs of the turns."""
    levels = num_blocks - 1
    lower = list(permutations(range(levels - 1)))
    variants = [((*order, levels - 1), sign) for order in lower for sign in (1, -1)][
        1:
    ]  # the first is the tower itself
    orders, signs = zip(*variants, strict=True)
    return np.array(orders), np.array(signs)
