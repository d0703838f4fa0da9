import math
from dataclasses import replace

import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.simulator import Simulator
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import Appearance, Block, Camera, Offset, Outcome, SceneSpec, Unparseable

PLACE = TASKS["place"]
BLUE = Block(0.0, 0.5, 0.0, 0.0, "blue")
LIGHT = Appearance(light=(0.0, 4.0, 3.0))
RED = Block(1.6, 0.5, 0.0, 0.0, "red")


def scene(*tower: Block) -> SceneSpec:
    camera = Camera(0.0, 3.0, 7.5, 1.5, 46.0)
    return SceneSpec(0, "place", "test", 0, (*tower, RED), True, 0.5, camera, LIGHT)


def act(simulator: Simulator, x: float, y: float) -> Outcome:
    return PLACE.act(scene(BLUE), Offset(x, y), simulator)


def test_ideal_by_hand() -> None:
    assert PLACE.ideal(scene(BLUE)) == Offset(-1.6, 1.0)
    assert PLACE.target(scene(BLUE)) == "<answer>-160 100</answer>"


def test_the_ideal_succeeds(simulator: Simulator) -> None:
    for index in range(40):
        one = make_scene(PLACE, EnvironmentConfig(), 1, "test", index)
        outcome = PLACE.act(one, PLACE.parse(PLACE.target(one)), simulator)
        assert outcome.status == "settled"
        assert outcome.success, one
        assert outcome.distance == pytest.approx(0.0, abs=1e-9)
        assert outcome.height_gain == pytest.approx(one.blocks[-1].size, abs=0.01)
        assert outcome.displacement < 0.02


def test_staying_beside_the_tower_fails(simulator: Simulator) -> None:
    outcome = act(simulator, 0.0, 0.0)
    assert (outcome.status, outcome.success) == ("settled", False)
    assert outcome.height_gain == pytest.approx(0.0, abs=0.01)
    assert outcome.distance == pytest.approx(math.hypot(1.6, 1.0))


def test_more_than_half_over_the_edge_falls(simulator: Simulator) -> None:
    outcome = act(simulator, -1.0, 1.0)
    assert (outcome.status, outcome.success) == ("settled", False)
    assert outcome.displacement > 0.1


@pytest.mark.parametrize(("drop", "success"), [(0.08, True), (0.13, False), (0.3, False)])
def test_it_must_rest_where_it_was_put(drop: float, success: bool, simulator: Simulator) -> None:
    outcome = act(simulator, -1.6, 1 + drop)
    assert outcome.success == success
    assert outcome.displacement == pytest.approx(drop, abs=0.05)


def test_a_high_block_in_the_air_beside_the_tower_falls(simulator: Simulator) -> None:
    outcome = act(simulator, 0.0, 2.0)
    assert not outcome.success
    assert outcome.displacement == pytest.approx(2.0, abs=0.05)


def test_four_hundredths_too_low_counts_as_touching(simulator: Simulator) -> None:
    assert act(simulator, -1.6, 0.96).success


@pytest.mark.parametrize(("x", "y"), [(-1.6, 0.9), (-0.7, 0.0), (0.0, -0.1), (-1.6, -3.0)])
def test_inside_the_tower_or_the_ground_is_illegal(
    x: float, y: float, simulator: Simulator
) -> None:
    outcome = act(simulator, x, y)
    assert (outcome.status, outcome.success, outcome.poses) == ("illegal", False, ())


def test_no_answer_no_outcome(simulator: Simulator) -> None:
    outcome = PLACE.act(scene(BLUE), Unparseable("words"), simulator)
    assert outcome == Outcome("unparseable", success=False)


def test_sizes_count(simulator: Simulator) -> None:
    tower = (Block(0.0, 0.6, 0.0, 0.0, "blue", 1.2),)
    red = Block(1.6, 0.4, 0.0, 0.0, "red", 0.8)
    one = replace(scene(*tower), blocks=(*tower, red))
    assert PLACE.ideal(one) == Offset(-1.6, 1.2)
    outcome = PLACE.act(one, Offset(-1.6, 1.2), simulator)
    assert outcome.success
    assert outcome.height_gain == pytest.approx(0.8, abs=0.01)
    assert PLACE.act(one, Offset(-1.6, 1.1), simulator).status == "illegal"
    assert not PLACE.act(one, Offset(-0.9, 1.2), simulator).success
