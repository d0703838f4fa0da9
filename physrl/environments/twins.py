"""Twins: pairs of a standing and a falling tower that only physics tells apart.

Both towers have the same blocks, the same offsets from block to block with the lower ones in
another order, and yaws that are equal or mirrored in the image plane. They therefore agree in the
number of blocks, lean, largest, mean and top offset, and silhouette width; they differ in which
block supports what, and along which of its sides.

Margins are made equal by scaling the offsets. Scaled by s, a tower has the margin
M(s) = min over levels k of (size_k / 2 - s overhang_k), and a pair A, B of order and yaws has equal
margins of opposite sign where M_A(s) + M_B(s) = 0: at the smallest s at which, for some levels k of
A and l of B, size_k / 2 + size_l / 2 = s (overhang_k of A + overhang_l of B).
"""

import math
from functools import cache
from itertools import permutations, product

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import Floats, overhangs
from physrl.environments.sampling import Shape, block_centers, sample_sizes, sample_yaws
from physrl.errors import SceneError

LARGEST_MARGINS = {2: 0.085, 3: 0.085, 4: 0.16, 5: 0.17, 6: 0.18}
"""Largest |margin| of twins by number of blocks; larger ones are too rare (docs/environment.md).

Two blocks: with the offset along a side it falls, along the diagonal it stands; the lengths
0.5 + m and (0.5 - m) sqrt(2) are the same at m = 0.0858. With three only the yaws differ too."""
WIDTH_TOLERANCE = 0.04
"""Largest difference of the silhouette widths seen from far away, in block widths."""
NEAR_WIDTH_TOLERANCE = 0.02
"""Largest difference of the widths seen by the camera of level `none`, to which blocks that are
nearer or higher look wider."""
NEAR, ABOVE, LOOKS_AT = 7.5, 3.1, 1.55
"""Mean distance and height of that camera, and the height it looks at, in block widths."""
BATCH = 32
BATCHES = 2000


def sample_twins(
    rng: np.random.Generator, settings: EnvironmentConfig, num_blocks: int
) -> tuple[Shape, Shape]:
    """Sample a standing tower and its falling twin, of equal |margin| in the configured interval.

    Raises:
        SceneError: twins of this margin do not exist, or were not found.
    """
    low, high = settings.margin
    limit = LARGEST_MARGINS[num_blocks]
    if low > limit:
        raise SceneError(
            f"environment.margin is [{low:g}, {high:g}]: twins of {num_blocks} blocks exist up to "
            f"{limit:g}; lower it, or set environment.twins=false (labels can then be guessed from "
            "the lean)"
        )
    orders, signs = _variants(num_blocks)
    for _ in range(BATCHES):
        offsets = rng.uniform(-1, 1, (BATCH, num_blocks - 1, 2))
        yaws = sample_yaws(rng, settings, (BATCH, num_blocks))
        sizes = sample_sizes(rng, settings.sizes or "equal", (num_blocks,))
        variant = rng.integers(len(orders), size=BATCH)
        twin_offsets = offsets[np.arange(BATCH)[:, None], orders[variant]]
        twin_yaws = signs[variant][:, None] * yaws
        scale, margins = _equalize(offsets, yaws, twin_offsets, twin_yaws, sizes)
        offsets *= scale[:, None, None]
        twin_offsets *= scale[:, None, None]
        widths = silhouette_widths(offsets, yaws, sizes)
        twin_widths = silhouette_widths(twin_offsets, twin_yaws, sizes)
        near = near_widths(offsets, yaws, sizes)
        twin_near = near_widths(twin_offsets, twin_yaws, sizes)
        (matches,) = np.nonzero(
            (low <= np.abs(margins))
            & (np.abs(margins) <= high)
            & (np.abs(offsets).max(axis=(1, 2)) <= settings.largest_step)
            & (np.abs(widths - twin_widths) <= WIDTH_TOLERANCE)
            & (np.abs(near - twin_near) <= NEAR_WIDTH_TOLERANCE)
        )
        if matches.size:
            k = matches[0]
            tower = Shape(offsets[k], yaws[k], sizes)
            twin = Shape(twin_offsets[k], twin_yaws[k], sizes)
            return (tower, twin) if margins[k] > 0 else (twin, tower)
    raise SceneError(
        f"no twins of {num_blocks} blocks with a margin of {low:g} to {high:g} and yaws up to "
        f"{settings.yaw + settings.yaw_jitter:g} in {BATCH * BATCHES} attempts: lower "
        "environment.margin, widen environment.yaw or raise environment.largest_step, which is "
        f"{settings.largest_step:g}"
    )


def silhouette_widths(offsets: Floats, yaws: Floats, sizes: Floats) -> Floats:
    """Compute the widths of towers in the image plane, in block widths, seen from far away.

    Args:
        offsets: towers x levels x 2, as in `Shape`.
        yaws: towers x blocks.
        sizes: one per block.
    """
    middles = block_centers(offsets)[..., 0]
    halves = sizes * (np.abs(np.cos(yaws)) + np.abs(np.sin(yaws))) / 2
    widths: Floats = (middles + halves).max(axis=1) - (middles - halves).min(axis=1)
    return widths


def near_widths(offsets: Floats, yaws: Floats, sizes: Floats) -> Floats:
    """Compute the widths of towers seen by a near camera, in widths of a block in its focus.

    Args:
        offsets: towers x levels x 2, as in `Shape`.
        yaws: towers x blocks.
        sizes: one per block.
    """
    along, up, across = (
        sizes[:, None] / 2 * np.array(side)
        for side in zip(*product((1, -1), repeat=3), strict=True)
    )
    cos, sin = np.cos(yaws)[..., None], np.sin(yaws)[..., None]
    middles = block_centers(offsets)[..., None, :]
    x = middles[..., 0] + cos * along + sin * across
    z = middles[..., 1] - sin * along + cos * across
    y = (np.cumsum(sizes) - sizes / 2)[:, None] + up
    distance = math.hypot(NEAR, ABOVE - LOOKS_AT)
    depth = ((NEAR - z) * NEAR + (ABOVE - y) * (ABOVE - LOOKS_AT)) / distance
    columns = (x * distance / depth).reshape(len(yaws), -1)
    widths: Floats = np.ptp(columns, axis=1)
    return widths


def _equalize(
    offsets: Floats, yaws: Floats, twin_offsets: Floats, twin_yaws: Floats, sizes: Floats
) -> tuple[Floats, Floats]:
    """Compute the offset scale that makes margins opposite, and the first towers' margins."""
    all_sizes = np.broadcast_to(sizes, yaws.shape)
    tower = overhangs(block_centers(offsets), yaws, all_sizes)
    twin = overhangs(block_centers(twin_offsets), twin_yaws, all_sizes)
    halves = sizes[:-1] / 2
    scales = (halves[:, None] + halves) / (tower[:, :, None] + twin[:, None, :])
    scale = scales.min(axis=(1, 2))
    return scale, (halves - scale[:, None] * tower).min(axis=1)


@cache
def _variants(num_blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """List how a twin may differ: orders of the offsets (the top one fixed) and signs of the yaws.

    The first combination, which is the tower itself, is left out.
    """
    top = num_blocks - 2
    orders = [(*order, top) for order in permutations(range(top))]
    variants = list(product(orders, (1, -1)))[1:]
    return np.array([order for order, _ in variants]), np.array([sign for _, sign in variants])
