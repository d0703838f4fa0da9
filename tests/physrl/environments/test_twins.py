import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin
from physrl.environments.sampling import Shape, place_tower
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.environments.twins import (
    LARGEST_MARGINS,
    near_widths,
    sample_twins,
    silhouette_widths,
)
from physrl.errors import SceneError

EQUAL = EnvironmentConfig()
MIXED = EnvironmentConfig(sizes="mixed", yaw=0.7, yaw_jitter=0.25)


def twins(seed: int, num_blocks: int, config: EnvironmentConfig = EQUAL) -> tuple[Shape, Shape]:
    return sample_twins(np.random.default_rng(seed), config, num_blocks)


def margin_of(shape: Shape) -> float:
    return margin(place_tower(np.random.default_rng(0), EQUAL, shape))


def lengths(shape: Shape) -> np.ndarray:
    return np.linalg.norm(shape.offsets, axis=1)


@given(st.integers(0, 2**32), st.integers(2, 6), st.sampled_from([EQUAL, MIXED]))
@settings(max_examples=150, deadline=None)
def test_twins_have_equal_margins_of_opposite_sign(
    seed: int, num_blocks: int, config: EnvironmentConfig
) -> None:
    standing, falling = (margin_of(shape) for shape in twins(seed, num_blocks, config))
    assert 0.05 <= standing <= 0.4
    assert falling == pytest.approx(-standing, abs=1e-9)


FEATURES: dict[str, Callable[[Shape], object]] = {
    "lean": lambda shape: shape.offsets.sum(axis=0),
    "largest": lambda shape: lengths(shape).max(),
    "mean": lambda shape: lengths(shape).mean(),
    "top": lambda shape: shape.offsets[-1],
    "blocks": lambda shape: np.sort(shape.sizes),
    "yaws": lambda shape: np.abs(shape.yaws),
    "sideways": lambda shape: np.sort(shape.offsets[:, 0]),
    "towards the viewer": lambda shape: np.sort(shape.offsets[:, 1]),
}


@given(st.integers(0, 2**32), st.integers(2, 6), st.sampled_from([EQUAL, MIXED]))
@settings(max_examples=150, deadline=None)
def test_twins_have_equal_simple_features(
    seed: int, num_blocks: int, config: EnvironmentConfig
) -> None:
    standing, falling = twins(seed, num_blocks, config)
    for name, feature in FEATURES.items():
        assert feature(standing) == pytest.approx(feature(falling)), name
    for widths, tolerance in ((silhouette_widths, 0.0401), (near_widths, 0.0201)):
        first, second = (
            widths(shape.offsets[None], shape.yaws[None], shape.sizes)[0]
            for shape in (standing, falling)
        )
        assert first == pytest.approx(second, abs=tolerance)


def test_near_width_of_two_blocks() -> None:
    # The camera stands at height 3.1, 7.5 away, and looks at height 1.55. Of two blocks the upper
    # one is 0.5 nearer; its upper front corners, at z = 1 and y = 2, are the nearest.
    widths = near_widths(np.array([[[0.0, 0.5]]]), np.zeros((1, 2)), np.ones(2))
    assert widths[0] == pytest.approx((7.5**2 + 1.55**2) / (6.5 * 7.5 + 1.1 * 1.55))


def test_largest_margin_of_two_blocks() -> None:
    # An offset of r along a side has the margin 0.5 - r, along the diagonal 0.5 - r / sqrt(2):
    # opposite at r = 1 / (1 + 1 / sqrt(2)) = 0.5858, where the margin is 0.0858.
    assert LARGEST_MARGINS[2] <= 1 / (1 + math.sqrt(0.5)) - 0.5 < LARGEST_MARGINS[2] + 0.001


def test_silhouette_width_of_two_blocks() -> None:
    # Squares rotated by 45 degrees are sqrt(2) wide, the small one 0.8 sqrt(2).
    offsets, yaws = np.array([[[0.5, 0.3]]]), np.array([[math.pi / 4, math.pi / 4]])
    width = silhouette_widths(offsets, yaws, np.array([1.0, 0.8]))
    assert width == pytest.approx([0.5 * math.sqrt(2) + 0.5 + 0.4 * math.sqrt(2)])


@pytest.mark.parametrize("num_blocks", [2, 3, 4, 5, 6])
def test_physics_tells_twins_apart(num_blocks: int, simulator: Simulator) -> None:
    rng = np.random.default_rng(1)
    for seed in range(6):
        for shape, stands in zip(twins(seed, num_blocks, MIXED), (True, False), strict=True):
            tower = place_tower(rng, EQUAL, shape)
            settled = simulator.settle(tower, give_up_beyond=2 * FALL_DISPLACEMENT)
            assert (max(settled.displacements) <= FALL_DISPLACEMENT) is stands, tower


@pytest.mark.parametrize(("num_blocks", "low"), [(2, 0.0851), (3, 0.1), (4, 0.17), (6, 0.2)])
def test_margins_too_large_for_twins_are_reported(num_blocks: int, low: float) -> None:
    config = EnvironmentConfig(margin=(low, 0.4))
    message = rf"environment\.margin is \[{low:g}, 0\.4\].* {num_blocks} blocks"
    with pytest.raises(SceneError, match=message):
        twins(0, num_blocks, config)


def test_towers_without_yaw_have_no_twins_of_two_blocks() -> None:
    with pytest.raises(SceneError, match=r"environment\.yaw"):
        twins(0, 2, EnvironmentConfig(yaw=0.0, yaw_jitter=0.0))


def test_offsets_too_small_for_a_fall_are_reported() -> None:
    with pytest.raises(SceneError, match=r"environment\.largest_step.* 0\.1$"):
        twins(0, 2, EnvironmentConfig(largest_step=0.1))
