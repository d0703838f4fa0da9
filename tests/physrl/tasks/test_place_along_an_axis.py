"""`place_x` and `place_y`: one number of `place` is given, the other asked for."""

from dataclasses import replace

import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.simulator import Simulator
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import Appearance, Block, Camera, Offset, Outcome, SceneSpec, Unparseable

SETTINGS = EnvironmentConfig(num_blocks=(2, 5))
BLUE = Block(0.0, 0.5, 0.0, 0.0, "blue")


def scene(task: str, red: Block) -> SceneSpec:
    camera, light = Camera(0.0, 3.0, 7.5, 1.5, 46.0), Appearance(light=(0.0, 4.0, 3.0))
    return SceneSpec(0, task, "test", 0, (BLUE, red), True, 0.5, camera, light)


BESIDE = scene("place_x", Block(1.6, 1.5, 0.0, 0.0, "red"))
ABOVE = scene("place_y", Block(0.0, 2.1, 0.0, 0.0, "red"))
SUNK = scene("place_y", Block(0.0, 1.2, 0.0, 0.0, "red"))


def act(one: SceneSpec, action: Offset, simulator: Simulator) -> Outcome:
    return TASKS[one.task].act(one, action, simulator)


def test_ideals_by_hand() -> None:
    assert TASKS["place_x"].target(BESIDE) == "<answer>-160</answer>"
    assert TASKS["place_y"].target(ABOVE) == "<answer>-60</answer>"
    assert TASKS["place_y"].target(SUNK) == "<answer>30</answer>"


@pytest.mark.parametrize(
    ("one", "action", "status", "success"),
    [
        (BESIDE, Offset(-1.6, 0), "settled", True),
        (BESIDE, Offset(-1.3, 0), "settled", True),
        (BESIDE, Offset(-1.05, 0), "settled", False),
        (BESIDE, Offset(0, 0), "settled", False),
        (ABOVE, Offset(0, -0.6), "settled", True),
        (ABOVE, Offset(0, -0.55), "settled", True),
        (ABOVE, Offset(0, -0.64), "settled", True),
        (ABOVE, Offset(0, -0.45), "settled", False),  # it drops onto the tower
        (ABOVE, Offset(0, -0.7), "illegal", False),
        (SUNK, Offset(0, 0.3), "settled", True),
        (SUNK, Offset(0, 0.0), "illegal", False),
        (SUNK, Offset(0, 0.6), "settled", False),
    ],
)
def test_outcomes_by_hand(
    one: SceneSpec, action: Offset, status: str, success: bool, simulator: Simulator
) -> None:
    outcome = act(one, action, simulator)
    assert (outcome.status, outcome.success) == (status, success)


@pytest.mark.parametrize("name", ["place_x", "place_y"])
@pytest.mark.parametrize("sizes", ["equal", "mixed"])
def test_the_ideal_succeeds(name: str, sizes: str, simulator: Simulator) -> None:
    task, settings = TASKS[name], SETTINGS.model_copy(update={"sizes": sizes})
    for index in range(25):
        one = make_scene(task, settings, 1, "test", index)
        outcome = task.act(one, task.parse(task.target(one)), simulator)
        assert outcome.success, one
        assert outcome.distance == pytest.approx(0.0, abs=1e-9)
        assert outcome.displacement < 0.03


def test_place_x_holds_the_block_at_the_right_height_beside_the_tower() -> None:
    scenes = [make_scene(TASKS["place_x"], SETTINGS, 0, "test", index) for index in range(40)]
    sides = []
    for one in scenes:
        red, top = one.blocks[-1], one.tower[-1]
        assert red.y == pytest.approx(top.y + (top.size + red.size) / 2)
        assert red.z == 0
        assert 1.4 <= abs(red.x - top.x) <= 3.8
        sides.append(red.x > top.x)
    assert all(one is not other for one, other in zip(sides[::2], sides[1::2], strict=True))
    assert len(set(sides[::2])) == 2


def test_place_y_holds_the_block_in_the_right_column_at_a_wrong_height() -> None:
    errors = []
    for index in range(60):
        one = make_scene(TASKS["place_y"], SETTINGS, 0, "test", index)
        red, top = one.blocks[-1], one.tower[-1]
        height = top.y + (top.size + red.size) / 2
        errors.append(red.y - height)
        assert -0.851 * red.size <= errors[-1] <= 1.001
        assert red.z == 0
        lifted = replace(one, task="place_x", blocks=(*one.tower, replace(red, y=height)))
        assert TASKS["place_x"].ideal(lifted) == Offset(0.0, 0.0)
    assert all(abs(error) >= 0.149 for error in errors)
    assert sum(error > 0 for error in errors) == pytest.approx(30, abs=15)


@pytest.mark.parametrize("one", [BESIDE, ABOVE])
def test_no_answer_no_outcome(one: SceneSpec, simulator: Simulator) -> None:
    outcome = TASKS[one.task].act(one, Unparseable("words"), simulator)
    assert outcome == Outcome("unparseable", success=False)
