"""Twins: pairs of a standing and a falling tower that only physics tells apart.

Both towers have the same blocks in the same places. All blocks of a tower are turned about the
vertical by one angle, each to the left or to the right; the twin has the same turns in another
order. What differs is whether a block's load lies off along its side, which lets it fall, or
towards its corner, which carries it. Nothing about the places alone, and nothing that leaves out
which block is turned which way, tells twins apart.

Margins are made equal by scaling the offsets. Scaled by s, a tower has the margin
M(s) = min over levels k of (size_k / 2 - s overhang_k), and a pair A, B has equal margins of
opposite sign where M_A(s) + M_B(s) = 0: at the smallest s at which, for some levels k of A and l of
B, size_k / 2 + size_l / 2 = s (overhang_k of A + overhang_l of B).
"""

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import Floats, overhangs
from physrl.environments.sampling import (
    LARGEST_STEP,
    SIZES,
    Shape,
    block_centers,
    sample_sizes,
    sample_yaws,
)
from physrl.errors import SceneError

LARGEST_MARGIN = 0.085
"""Largest |margin| of twins of blocks of edge 1. One turn lets a load's offset lie along a side,
where it falls, the other along the diagonal, where it stands: the lengths 0.5 + m and
(0.5 - m) sqrt(2) are the same at m = 0.0858."""
BATCH = 256
BATCHES = 2000


def sample_twins(
    rng: np.random.Generator, settings: EnvironmentConfig, num_blocks: int
) -> tuple[Shape, Shape]:
    """Sample a standing tower and its falling twin, of equal |margin| in the configured interval.

    The level that gives way is drawn first, so that each is as likely as any other.

    Raises:
        SceneError: twins of this margin do not exist, or were not found.
    """
    low, high = settings.margin
    if low > LARGEST_MARGIN:
        raise SceneError(
            f"environment.margin is [{low:g}, {high:g}]: twins exist up to {LARGEST_MARGIN:g}; "
            "lower it, or set environment.twins=false (labels can then be guessed from the lean)"
        )
    largest = settings.largest_step or LARGEST_STEP
    weakest = int(rng.integers(num_blocks - 1))
    for _ in range(BATCHES):
        offsets = rng.uniform(-1, 1, (BATCH, num_blocks - 1, 2))
        angles = sample_yaws(rng, settings, (BATCH, 1))
        yaws = angles * rng.choice((-1, 1), (BATCH, num_blocks))
        twin_yaws = rng.permuted(yaws, axis=1)
        sizes = sample_sizes(rng, SIZES[settings.sizes or "equal"], (num_blocks,))
        scale, margins, levels = _equalize(offsets, yaws, twin_yaws, sizes)
        offsets *= scale[:, None, None]
        (matches,) = np.nonzero(
            (low <= np.abs(margins))
            & (np.abs(margins) <= high)
            & (np.abs(offsets).max(axis=(1, 2)) <= largest)
            & (levels == weakest)
        )
        if matches.size:
            k = matches[0]
            tower, twin = (Shape(offsets[k], turned[k], sizes) for turned in (yaws, twin_yaws))
            return (tower, twin) if margins[k] > 0 else (twin, tower)
    raise SceneError(
        f"no twins of {num_blocks} blocks with a margin of {low:g} to {high:g} and yaws up to "
        f"{settings.yaw + settings.yaw_jitter:g} in {BATCH * BATCHES} attempts: lower "
        "environment.margin, widen environment.yaw or raise environment.largest_step, which is "
        f"{largest:g}"
    )


def _equalize(
    offsets: Floats, yaws: Floats, twin_yaws: Floats, sizes: Floats
) -> tuple[Floats, Floats, Floats]:
    """Compute the offset scale that makes margins opposite.

    Returns:
        The scales, the first towers' margins, and the levels at which the falling ones give way.
    """
    all_sizes = np.broadcast_to(sizes, yaws.shape)
    centers = block_centers(offsets)
    tower, twin = (overhangs(centers, turned, all_sizes) for turned in (yaws, twin_yaws))
    halves = sizes[:-1] / 2
    scale = ((halves[:, None] + halves) / (tower[:, :, None] + twin[:, None, :])).min(axis=(1, 2))
    first, second = (halves - scale[:, None] * levels for levels in (tower, twin))
    margins = first.min(axis=1)
    falling = np.where((margins < 0)[:, None], first, second)
    return scale, margins, falling.argmin(axis=1)
