from typing import Any

import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin, overlaps
from physrl.environments.sampling import batch_margins, sample_beside, sample_tower
from physrl.errors import SceneError

MIXED = EnvironmentConfig(sizes="mixed", twins=False, yaw=0.0, yaw_jitter=0.0)


def test_margins_of_many_towers_are_those_of_each() -> None:
    # 0.5 - 0.3 and 0.5 - 0.6; then three mixed blocks, as in the test of `level_margins`.
    yaws, sizes = np.zeros((2, 2)), np.ones((2, 2))
    offsets = np.array([[[0.3, 0.0]], [[-0.6, 0.1]]])
    assert batch_margins(offsets, yaws, sizes) == pytest.approx([0.2, -0.1])
    mixed = np.array([[[0.3, 0.0], [0.2, 0.1]]])
    found = batch_margins(mixed, np.zeros((1, 3)), np.array([[1.0, 0.8, 1.2]]))
    assert found == pytest.approx([0.045714], abs=1e-6)
    assert batch_margins(np.zeros((1, 0, 2)), yaws[:1, :1], sizes[:1, :1]) == [0.5]


@pytest.mark.parametrize("stable", [True, False])
def test_a_large_lowest_block_never_ends_the_search(stable: bool) -> None:
    # One wider than 1.2 - 2 * 0.05 carries whatever an offset of 0.6 puts on it: others are drawn.
    for seed in range(40):
        rng = np.random.default_rng(seed)
        tower = sample_tower(rng, MIXED, 2, stable=stable, depth=False)
        assert 0.05 <= (margin(tower) if stable else -margin(tower)) <= 0.4


def test_without_depth_all_centres_lie_in_one_plane() -> None:
    tower = sample_tower(np.random.default_rng(0), EnvironmentConfig(), 4, stable=True, depth=False)
    assert all(block.z == 0 for block in tower)


def test_the_red_block_is_one_block_wide_beside_mixed_ones() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        tower = sample_tower(rng, MIXED, 3, stable=True, depth=False)
        red = sample_beside(rng, tower)
        assert (red.size, red.y, red.color) == (1.0, 0.5, "red")
        assert 1.4 <= abs(red.x - tower[0].x) <= 2.1


@pytest.mark.parametrize(
    "changes",
    [
        {"sizes": "mixed"},
        {"sizes": "mixed", "yaw": 0.8, "yaw_jitter": 0.8},
        {"sizes": "mixed", "largest_step": 1.0},
        {"yaw": 0.8, "yaw_jitter": 0.0},
    ],
)
def test_the_red_block_starts_outside_of_all_others(changes: dict[str, Any]) -> None:
    settings = EnvironmentConfig(**changes)
    for seed in range(150):
        rng = np.random.default_rng(seed)
        tower = sample_tower(rng, settings, 4, stable=True, depth=False)
        red = sample_beside(rng, tower)
        assert not any(overlaps(red, block, 1e-9) for block in tower), seed


def test_steps_too_small_for_a_fall_are_named() -> None:
    short = EnvironmentConfig(largest_step=0.1)
    with pytest.raises(SceneError, match=r"raise environment\.largest_step, which is 0\.1"):
        sample_tower(np.random.default_rng(0), short, 2, stable=False, depth=True)
