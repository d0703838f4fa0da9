import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physrl.config.environment import EnvironmentConfig
from physrl.environments import twins as twins_module
from physrl.environments.geometry import level_margins, margin
from physrl.environments.sampling import Shape, place_tower
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.environments.twins import LARGEST_MARGIN, sample_twins
from physrl.errors import SceneError

EQUAL = EnvironmentConfig()
MIXED = EnvironmentConfig(sizes="mixed", yaw=0.7, yaw_jitter=0.25)


def twins(seed: int, num_blocks: int, config: EnvironmentConfig = EQUAL) -> tuple[Shape, Shape]:
    return sample_twins(np.random.default_rng(seed), config, num_blocks)


def margin_of(shape: Shape) -> float:
    return margin(place_tower(np.random.default_rng(0), EQUAL, shape))


@given(st.integers(0, 2**32), st.integers(2, 6), st.sampled_from([EQUAL, MIXED]))
@settings(max_examples=150, deadline=None)
def test_twins_have_equal_margins_of_opposite_sign(
    seed: int, num_blocks: int, config: EnvironmentConfig
) -> None:
    standing, falling = (margin_of(shape) for shape in twins(seed, num_blocks, config))
    assert 0.05 <= standing <= 0.4
    assert falling == pytest.approx(-standing, abs=1e-9)


@given(st.integers(0, 2**32), st.integers(2, 6), st.sampled_from([EQUAL, MIXED]))
@settings(max_examples=150, deadline=None)
def test_twins_differ_in_the_order_of_their_turns_alone(
    seed: int, num_blocks: int, config: EnvironmentConfig
) -> None:
    standing, falling = twins(seed, num_blocks, config)
    assert np.array_equal(standing.offsets, falling.offsets)
    assert np.array_equal(standing.sizes, falling.sizes)
    assert np.array_equal(np.sort(standing.yaws), np.sort(falling.yaws))
    assert not np.array_equal(standing.yaws, falling.yaws)
    # Seen from the front, a block is as wide turned to the left as to the right.
    assert np.allclose(np.abs(standing.yaws), np.abs(falling.yaws))


def test_each_level_gives_way_equally_often() -> None:
    # Of 400 towers of four blocks a third falls at each level: 133, give or take four times 9.4.
    count = np.zeros(3, int)
    for seed in range(400):
        _, falling = twins(seed, 4)
        tower = place_tower(np.random.default_rng(0), EQUAL, falling)
        count[level_margins(tower).argmin()] += 1
    assert count == pytest.approx([133.3] * 3, abs=38)


def test_largest_margin() -> None:
    # An offset of r along a side has the margin 0.5 - r, along the diagonal 0.5 - r / sqrt(2):
    # opposite at r = 1 / (1 + 1 / sqrt(2)) = 0.5858, where the margin is 0.0858.
    assert LARGEST_MARGIN <= 1 / (1 + math.sqrt(0.5)) - 0.5 < LARGEST_MARGIN + 0.001


@pytest.mark.parametrize("num_blocks", [2, 3, 4, 5, 6])
def test_physics_tells_twins_apart(num_blocks: int, simulator: Simulator) -> None:
    rng = np.random.default_rng(1)
    for seed in range(6):
        for shape, stands in zip(twins(seed, num_blocks, MIXED), (True, False), strict=True):
            tower = place_tower(rng, EQUAL, shape)
            settled = simulator.settle(tower, give_up_beyond=2 * FALL_DISPLACEMENT)
            assert (max(settled.displacements) <= FALL_DISPLACEMENT) is stands, tower


@pytest.mark.parametrize("num_blocks", [2, 3, 6])
def test_margins_too_large_for_twins_are_reported(num_blocks: int) -> None:
    config = EnvironmentConfig(margin=(0.0851, 0.4))
    with pytest.raises(SceneError, match=r"environment\.margin is \[0\.0851, 0\.4\].* 0\.085;"):
        twins(0, num_blocks, config)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins_module, "BATCHES", 50)


@pytest.mark.usefixtures("impatient")
def test_towers_without_yaw_have_no_twins() -> None:
    with pytest.raises(SceneError, match=r"environment\.yaw"):
        twins(0, 3, EnvironmentConfig(yaw=0.0, yaw_jitter=0.0))


@pytest.mark.usefixtures("impatient")
def test_offsets_too_small_for_a_fall_are_reported() -> None:
    with pytest.raises(SceneError, match=r"environment\.largest_step.* 0\.1$"):
        twins(0, 2, EnvironmentConfig(largest_step=0.1))
