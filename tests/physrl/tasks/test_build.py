import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin
from physrl.environments.simulator import Simulator, scene_poses
from physrl.tasks import TASKS
from physrl.tasks.plan import ideal_plan
from physrl.tasks.task import make_scene
from physrl.types import Appearance, Block, Camera, Offset, Outcome, SceneSpec, Unparseable

BUILD = TASKS["build"]
BASE = Block(0.0, 0.5, 0.0, 0.0, "blue")
RED = Block(2.0, 4.5, 0.0, 0.0, "red")  # three blocks higher than the tower of one


def scene(*tower: Block, red: Block = RED) -> SceneSpec:
    camera = Camera(0.0, 3.0, 7.5, 1.5, 46.0)
    light = Appearance(light=(0.0, 4.0, 3.0))
    return SceneSpec(0, "build", "test", 0, (*tower, red), True, margin(tower), camera, light)


def test_each_move_begins_where_the_last_one_ended(simulator: Simulator) -> None:
    one = scene(BASE)
    for level in range(1, 4):
        outcome = BUILD.act(one, Offset(-2.0 + 0.1 * level, 0.0), simulator)
        assert outcome.success is (level == 3)
        assert outcome.height_gain == pytest.approx(level / 3, abs=1e-3)
        tops = [pose.position[1] for pose in outcome.poses]
        assert tops == pytest.approx([0.5 + k for k in range(level + 1)], abs=1e-2)
        one = BUILD.advance(one, outcome)
        assert [block.color for block in one.blocks].count("red") == 1
        assert one.blocks[-1] == RED
        assert len(one.blocks) == level + 2
        assert scene_poses(one)[level].position == outcome.poses[level].position


def test_fallen_blocks_stay_and_the_next_is_let_down_onto_them(simulator: Simulator) -> None:
    first = scene(BASE)
    fell = BUILD.act(first, Offset(-1.4, 0.0), simulator)  # more than half over the edge
    assert (fell.status, fell.success) == ("settled", False)
    assert fell.poses[1].position[1] < 1.0
    second = BUILD.advance(first, fell)
    assert BUILD.ideal(second).x == pytest.approx(-2.0, abs=0.1)  # onto the blue block
    release = BUILD.release(second, Offset(fell.poses[1].position[0] - 2.0, 0.0))
    assert release is not None
    (lowered,) = release.upright
    assert lowered.y > fell.poses[1].position[1] + 0.9


def test_a_block_beside_the_tower_is_let_down_to_the_ground(simulator: Simulator) -> None:
    outcome = BUILD.act(scene(BASE), Offset(0.0, 0.0), simulator)
    assert outcome.poses[-1].position[1] == pytest.approx(0.5, abs=1e-3)
    assert outcome.height_gain == pytest.approx(0.0, abs=1e-3)
    assert outcome.displacement < 0.01


def test_no_answer_changes_nothing(simulator: Simulator) -> None:
    one = scene(BASE)
    outcome = BUILD.act(one, Unparseable("words"), simulator)
    assert outcome == Outcome("unparseable", success=False)
    assert BUILD.advance(one, outcome) is one


@pytest.mark.parametrize("sizes", ["equal", "mixed"])
def test_the_plan_stands_and_blocks_over_the_top_do_not(sizes: str, simulator: Simulator) -> None:
    settings = EnvironmentConfig(sizes=sizes)
    for index in range(6):
        one = make_scene(BUILD, settings, 0, "test", index)
        *_, last = ideal_plan(BUILD, one, simulator)
        assert last.outcome.success
        assert len(last.outcome.poses) == len(one.tower) + 3
        for _ in range(3):
            red, top = one.blocks[-1], max(one.tower, key=lambda block: block.y)
            outcome = BUILD.act(one, Offset(round(top.x - red.x, 2), 0.0), simulator)
            one = BUILD.advance(one, outcome)
        assert not outcome.success


def test_a_plan_ends_with_success(simulator: Simulator) -> None:
    retried = TASKS["place_closed_loop"]
    one = make_scene(retried, EnvironmentConfig(), 0, "test", 0)
    assert [step.outcome.success for step in ideal_plan(retried, one, simulator)] == [True]
