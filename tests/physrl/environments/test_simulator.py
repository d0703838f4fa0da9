import math
from dataclasses import replace

import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin
from physrl.environments.sampling import sample_tower
from physrl.environments.simulator import (
    FALL_DISPLACEMENT,
    FRAMES_PER_SECOND,
    STEPS_BETWEEN_CHECKS,
    Settled,
    Simulator,
    start_pose,
)
from physrl.errors import SimulationError
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


def test_repeated_simulations_are_equal_bit_for_bit(simulator: Simulator) -> None:
    tower = sample_tower(np.random.default_rng(0), SETTINGS, 4, stable=False, depth=True)
    first = simulator.settle(tower)
    simulator.settle(tower[:2])
    assert simulator.settle(tower) == first
    other = Simulator()
    assert other.settle(tower) == first
    other.close()


def test_results_do_not_depend_on_earlier_simulations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("physrl.environments.simulator.RESET_AFTER", 7)
    rng = np.random.default_rng(1)
    mixed = EnvironmentConfig(margin=(0.02, 0.5), yaw=0.8, yaw_jitter=0.3, sizes="mixed")
    towers = [
        sample_tower(rng, settings, count, stable=False, depth=True)
        for settings in (SETTINGS, mixed)
        for count in (2, 3, 4, 5)
    ]
    towers.append(tuple(Block(0.1 * level, 0.5 + level, 0, 0, "red") for level in range(6)))

    def settle_in_new_world(tower: tuple[Block, ...]) -> Settled:
        simulator = Simulator()
        settled = simulator.settle(tower, give_up_beyond=1.0)
        simulator.close()
        return settled

    expected = [settle_in_new_world(tower) for tower in towers]
    simulator = Simulator()
    for choice in rng.integers(len(towers), size=40):
        other = towers[rng.integers(len(towers))]
        next(iter(simulator.watch(other[: rng.integers(1, 4)])))
        simulator.settle(other, drop=0.3, give_up_beyond=float(rng.choice([0.2, 1.0])))
        assert simulator.settle(towers[choice], give_up_beyond=1.0) == expected[choice]
    simulator.close()


def test_a_failed_simulation_does_not_affect_the_next(simulator: Simulator) -> None:
    tower = sample_tower(np.random.default_rng(0), SETTINGS, 4, stable=False, depth=True)
    first = simulator.settle(tower)
    with pytest.raises(SimulationError, match="finite"):
        simulator.settle([Block(float("nan"), 0.5, 0, 0, "blue"), Block(0, 1.5, 0, 0, "red")])
    assert simulator.settle(tower) == first


def test_a_dropped_block_falls_by_the_drop_height(simulator: Simulator) -> None:
    settled = simulator.settle([Block(0, 1.0, 0, 0, "red")], drop=0.5)
    assert settled.at_rest
    assert settled.displacements[0] == pytest.approx(0.5, abs=0.01)


def test_the_horizontal_axes_are_not_mirrored(simulator: Simulator) -> None:
    tower = [Block(0, 0.5, 0, 0, "blue"), Block(0.6, 1.5, 0.1, 0, "red")]
    x, y, z = simulator.settle(tower).poses[1].position
    assert x > 0.6
    assert y == pytest.approx(0.5, abs=0.25)
    assert z == pytest.approx(0.1, abs=0.3)


def test_give_up_beyond_saves_steps(simulator: Simulator) -> None:
    tower = [Block(0, 0.5, 0, 0, "blue"), Block(0.7, 1.5, 0, 0, "red")]
    assert simulator.settle(tower, give_up_beyond=0.2).steps < simulator.settle(tower).steps


def test_the_last_frame_equals_the_settled_poses(simulator: Simulator) -> None:
    tower = sample_tower(np.random.default_rng(0), SETTINGS, 3, stable=False, depth=True)
    settled = simulator.settle(tower, give_up_beyond=1.0)
    frames = list(simulator.watch(tower, give_up_beyond=1.0))
    assert frames[0] == tuple(map(start_pose, tower))
    assert frames[-1] == settled.poses
    assert len(frames) == 1 + settled.steps / STEPS_BETWEEN_CHECKS


def test_a_frame_is_a_thirtieth_of_a_second(simulator: Simulator) -> None:
    frames = list(simulator.watch([Block(0, 1.5, 0, 0, "red")], drop=1.0))
    fallen = 1.5 - frames[6][0].position[1]
    # 48 steps of dt: the sum over k of k g dt^2 = 9.81 * 48 * 49 / 2 / 240^2 = 0.2003.
    assert FRAMES_PER_SECOND == 30
    assert fallen == pytest.approx(0.2003, abs=1e-3)


def test_mixed_sizes_agree_with_the_exact_criterion(simulator: Simulator) -> None:
    # Masses 0.125 and 1.728 above the lowest block: (0.125 * 0.35 + 1.728 x) / 1.853 reaches 0.5 at
    # x = 0.511; equal masses would reach it at 0.65. The small block supports up to 0.6.
    for x in (0.47, 0.49, 0.53, 0.55):
        tower = [
            Block(0, 0.5, 0, 0, "blue"),
            Block(0.35, 1.25, 0, 0, "green", 0.5),
            Block(x, 2.1, 0, 0, "red", 1.2),
        ]
        expected = 0.5 - (0.125 * 0.35 + 1.728 * x) / 1.853
        assert margin(tower) == pytest.approx(expected, abs=1e-3)
        farthest = max(simulator.settle(tower, give_up_beyond=0.2).displacements)
        assert (farthest <= FALL_DISPLACEMENT) is (x < 0.511)


def test_the_mass_of_a_box_is_its_volume(simulator: Simulator) -> None:
    # A plank of mass 4 * 0.5 * 0.5 = 1, 0.4 right of a post 0.2 wide, balances a cube 0.4 left.
    post = Block(0.0, 0.5, 0.0, 0.0, "blue", 1.0, (0.2, 1.0))
    plank = Block(0.4, 1.25, 0.0, 0.0, "cyan", 0.5, (8.0, 1.0))
    for x, stands in ((-0.4, True), (-0.25, True), (-0.15, False), (-0.65, False)):
        settled = simulator.settle((post, plank, Block(x, 2.0, 0.0, 0.0, "green")))
        assert (max(settled.displacements) <= FALL_DISPLACEMENT) is stands, x


def test_blocks_may_begin_in_any_pose(simulator: Simulator) -> None:
    tower = (Block(0.0, 0.5, 0.0, 0.3, "blue"), Block(0.2, 1.5, 0.0, 0.1, "red"))
    rest = simulator.settle(tower)
    assert simulator.settle(tuple(map(start_pose, tower))) == rest
    tilted = replace(rest.poses[1], orientation=(0.0, math.sin(0.2), 0.0, math.cos(0.2)))
    fallen = simulator.settle((replace(tilted, position=(0.0, 0.8, 0.0)),))
    assert fallen.poses[0].position[1] == pytest.approx(0.5, abs=0.01)  # back on a face
