from typing import Any

import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig, SizesName
from physrl.environments.geometry import margin, overlaps
from physrl.environments.sampling import (
    SIZES,
    batch_margins,
    sample_beside,
    sample_sizes,
    sample_tower,
)
from physrl.errors import SceneError
from physrl.types import Block

RED_BLOCK = Block(0.0, 5.0, 0.0, 0.1, "red", 0.8)
MIXED = EnvironmentConfig(sizes="mixed", twins=False, yaw=0.0, yaw_jitter=0.0)


def test_batch_margins_equal_the_margins_of_single_towers() -> None:
    # 0.5 - 0.3 and 0.5 - 0.6; then three mixed blocks, as in the test of `level_margins`.
    yaws, sizes = np.zeros((2, 2)), np.ones((2, 2))
    offsets = np.array([[[0.3, 0.0]], [[-0.6, 0.1]]])
    assert batch_margins(offsets, yaws, sizes) == pytest.approx([0.2, -0.1])
    mixed = np.array([[[0.3, 0.0], [0.2, 0.1]]])
    margins = batch_margins(mixed, np.zeros((1, 3)), np.array([[1.0, 0.8, 1.2]]))
    assert margins == pytest.approx([0.045714], abs=1e-6)
    assert batch_margins(np.zeros((1, 0, 2)), yaws[:1, :1], sizes[:1, :1]) == [0.5]


@pytest.mark.parametrize("stable", [True, False])
def test_sampling_succeeds_although_large_lowest_blocks_cannot_fail(stable: bool) -> None:
    # A block wider than 1.2 + 2 * 0.05 supports any offset up to 0.6, so others must be sampled.
    for seed in range(40):
        rng = np.random.default_rng(seed)
        tower = sample_tower(rng, MIXED, 2, stable=stable, depth=False)
        assert 0.05 <= (margin(tower) if stable else -margin(tower)) <= 0.4


def test_without_depth_all_centers_lie_in_one_plane() -> None:
    tower = sample_tower(np.random.default_rng(0), EnvironmentConfig(), 4, stable=True, depth=False)
    assert all(block.z == 0 for block in tower)


def test_the_red_block_keeps_its_size_on_the_ground() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        tower = sample_tower(rng, MIXED, 3, stable=True, depth=False)
        red = sample_beside(rng, tower, RED_BLOCK)
        assert (red.size, red.y, red.color) == (0.8, 0.4, "red")
        assert 1.4 <= abs(red.x - tower[-1].x) <= 3.8


@pytest.mark.parametrize(("sizes", "low", "high"), [("mixed", 0.7, 1.3), ("equal", 1.0, 1.0)])
def test_sizes_lie_in_their_interval(sizes: SizesName, low: float, high: float) -> None:
    drawn = sample_sizes(np.random.default_rng(0), SIZES[sizes], (200, 3))
    assert drawn.shape == (200, 3)
    assert low <= drawn.min()
    assert drawn.max() <= high


def test_held_out_sizes_are_not_mixed_ones() -> None:
    drawn = sample_sizes(np.random.default_rng(0), SIZES["held_out"], (200, 3))
    assert ((drawn < 0.7) ^ (drawn > 1.3)).all()
    assert 0.3 < (drawn < 0.7).mean() < 0.7


@pytest.mark.parametrize(
    "changes",
    [
        {"sizes": "mixed"},
        {"sizes": "mixed", "yaw": 0.8, "yaw_jitter": 0.8},
        {"sizes": "mixed", "largest_step": 1.0},
        {"yaw": 0.8, "yaw_jitter": 0.0},
    ],
)
def test_the_red_block_does_not_overlap_the_tower(changes: dict[str, Any]) -> None:
    settings = EnvironmentConfig(**changes)
    for seed in range(150):
        rng = np.random.default_rng(seed)
        tower = sample_tower(rng, settings, 4, stable=True, depth=False)
        red = sample_beside(rng, tower, RED_BLOCK)
        assert not any(overlaps(red, block, 1e-9) for block in tower), seed


def test_offsets_too_small_for_a_fall_are_reported() -> None:
    settings = EnvironmentConfig(largest_step=0.1)
    with pytest.raises(SceneError, match=r"environment\.largest_step.* 0\.1$"):
        sample_tower(np.random.default_rng(0), settings, 2, stable=False, depth=True)
