import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin
from physrl.environments.simulator import Simulator
from physrl.errors import SceneError
from physrl.tasks import TASKS, stabilize, stacks
from physrl.tasks.stabilize import red_index
from physrl.tasks.task import make_scene
from physrl.types import Appearance, Block, Camera, Offset, Outcome, SceneSpec, Unparseable

STABILIZE = TASKS["stabilize"]
LIGHT = Appearance(light=(0.0, 4.0, 3.0))
TALL = EnvironmentConfig(num_blocks=(2, 6), sizes="mixed")


def scene(*tower: Block) -> SceneSpec:
    camera = Camera(0.0, 3.0, 7.5, 1.5, 46.0)
    return SceneSpec(0, "stabilize", "test", 0, tower, False, margin(tower), camera, LIGHT)


LEANING = scene(Block(0.0, 0.5, 0.0, 0.0, "blue"), Block(0.7, 1.5, 0.0, 0.0, "red"))


def test_ideal_by_hand() -> None:
    assert LEANING.margin == pytest.approx(-0.2)
    assert STABILIZE.ideal(LEANING) == Offset(-0.7, 0.0)
    assert STABILIZE.target(LEANING) == "<answer>-70</answer>"


@pytest.mark.parametrize(("x", "stands"), [(-0.7, True), (-0.3, True), (0.0, False), (-1.3, False)])
def test_it_stands_where_the_red_block_is_carried(
    x: float, stands: bool, simulator: Simulator
) -> None:
    outcome = STABILIZE.act(LEANING, Offset(x, 0.0), simulator)
    assert (outcome.status, outcome.success) == ("settled", stands)
    assert outcome.distance == pytest.approx(abs(x + 0.7))
    assert len(outcome.poses) == 2


def test_scenes_fall_and_can_be_saved(simulator: Simulator) -> None:
    for index in range(40):
        one = make_scene(STABILIZE, TALL, 1, "test", index)
        assert one.margin <= -0.05
        assert red_index(one) > 0
        assert sum(block.color == "red" for block in one.blocks) == 1
        assert all(block.z == 0 for block in one.blocks)
        ideal = STABILIZE.ideal(one)
        assert STABILIZE.parse(STABILIZE.target(one)) == ideal
        assert STABILIZE.act(one, ideal, simulator).success, one
        if index < 10:
            assert not STABILIZE.act(one, Offset(0.0, 0.0), simulator).success, one


def test_what_is_above_the_red_block_stays(simulator: Simulator) -> None:
    one = next(
        one
        for one in (make_scene(STABILIZE, TALL, 0, "test", index) for index in range(40))
        if 0 < red_index(one) < len(one.blocks) - 1
    )
    release = STABILIZE.release(one, Offset(0.25, 0.0))
    assert release is not None
    moved = [after.x - before.x for before, after in zip(one.blocks, release.blocks, strict=True)]
    assert moved == [0.25 if place == red_index(one) else 0 for place in range(len(moved))]


def test_one_of_each_pair_is_moved_to_the_right() -> None:
    scenes = [make_scene(STABILIZE, EnvironmentConfig(), 0, "train", index) for index in range(60)]
    ideals = [STABILIZE.ideal(one) for one in scenes]
    assert all(isinstance(ideal, Offset) for ideal in ideals)
    right = [ideal.x > 0 for ideal in ideals if isinstance(ideal, Offset)]
    assert all(one is not other for one, other in zip(right[::2], right[1::2], strict=True))
    assert sum(right[::2]) == pytest.approx(15, abs=10)


@pytest.mark.parametrize(("num_blocks", "indices"), [(2, {1}), (3, {2}), (4, {2, 3})])
def test_every_block_for_which_guesses_can_fail_may_be_red(
    num_blocks: int, indices: set[int]
) -> None:
    settings = EnvironmentConfig(num_blocks=(num_blocks, num_blocks))
    scenes = [make_scene(STABILIZE, settings, 0, "train", index) for index in range(30)]
    assert {red_index(one) for one in scenes} == indices


def test_margins_that_no_tower_has_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stabilize, "best_shift", lambda tower, index: (0.0, 0.04))
    monkeypatch.setattr(stacks, "BATCHES", (64,))
    with pytest.raises(SceneError, match=r"environment\.margin"):
        make_scene(STABILIZE, EnvironmentConfig(num_blocks=(2, 2)), 0, "test", 0)


def test_no_answer_no_outcome(simulator: Simulator) -> None:
    outcome = STABILIZE.act(LEANING, Unparseable("words"), simulator)
    assert outcome == Outcome("unparseable", success=False)
