import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin
from physrl.environments.sampling import sample_tower
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.types import Block

SETTINGS = EnvironmentConfig(margin=(0.05, 0.5), yaw=0.8, yaw_jitter=0.3)


@pytest.mark.parametrize("num_blocks", [2, 3, 4])
@pytest.mark.parametrize("stable", [True, False])
def test_labels_agree_with_the_exact_criterion(
    num_blocks: int, stable: bool, simulator: Simulator
) -> None:
    rng = np.random.default_rng(num_blocks)
    for _ in range(25):
        tower = sample_tower(rng, SETTINGS, num_blocks, stable=stable, depth=True)
        assert (margin(tower) > 0) is stable
        settled = simulator.settle(tower, give_up_beyond=2 * FALL_DISPLACEMENT)
        assert (max(settled.displacements) <= FALL_DISPLACEMENT) is stable, tower


def test_the_same_world_twice_is_equal_bit_for_bit(simulator: Simulator) -> None:
    tower = sample_tower(np.random.default_rng(0), SETTINGS, 4, stable=False, depth=True)
    first = simulator.settle(tower)
    simulator.settle(tower[:2])
    assert simulator.settle(tower) == first
    other = Simulator()
    assert other.settle(tower) == first
    other.close()


def test_a_block_falls_as_far_as_it_is_dropped(simulator: Simulator) -> None:
    settled = simulator.settle([Block(0, 1.0, 0, 0, "red")], drop=0.5)
    assert settled.at_rest
    assert settled.displacements[0] == pytest.approx(0.5, abs=0.01)


def test_the_horizontal_axes_are_not_mirrored(simulator: Simulator) -> None:
    tower = [Block(0, 0.5, 0, 0, "blue"), Block(0.6, 1.5, 0.1, 0, "red")]
    x, y, z = simulator.settle(tower).poses[1].position
    assert x > 0.6
    assert y == pytest.approx(0.5, abs=0.25)
    assert z == pytest.approx(0.1, abs=0.3)


def test_giving_up_saves_steps(simulator: Simulator) -> None:
    tower = [Block(0, 0.5, 0, 0, "blue"), Block(0.7, 1.5, 0, 0, "red")]
    assert simulator.settle(tower, give_up_beyond=0.2).steps < simulator.settle(tower).steps
