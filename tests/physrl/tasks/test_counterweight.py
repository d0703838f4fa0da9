import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin
from physrl.environments.simulator import Simulator
from physrl.evaluation.rules import right_interval
from physrl.tasks import TASKS
from physrl.tasks.beams import sample_beams
from physrl.tasks.counterweight import kind_of
from physrl.tasks.landmarks import all_guesses
from physrl.tasks.placing import carrying_block
from physrl.tasks.prices import load_prices
from physrl.tasks.task import make_scene
from physrl.types import Appearance, Block, Camera, Offset, Outcome, SceneSpec, Unparseable

COUNTERWEIGHT = TASKS["counterweight"]
# The plank weighs 4 * 0.2 * 0.625 = 0.5 and lies 0.5 to the right; the load of 1 is 1 to the right:
# a red block of 1 holds both 0.5 * 0.5 + 1 = 1.25 to the left of the post.
TOWER = (
    Block(0.0, 0.5, 0.0, 0.0, "blue", 1.0, (0.2, 1.0)),
    Block(0.5, 1.1, 0.0, 0.0, "green", 0.2, (20.0, 3.125)),
    Block(1.0, 1.7, 0.0, 0.0, "cyan"),
)
BLOCKS = (*TOWER, Block(-3.0, 1.7, 0.0, 0.0, "red"))
CAMERA, LIGHT = Camera(0.0, 3.0, 7.5, 1.5, 46.0), Appearance(light=(0.0, 4.0, 3.0))
LOADED = SceneSpec(0, "counterweight", "test", 0, BLOCKS, True, margin(TOWER), CAMERA, LIGHT)


def act(x: float, simulator: Simulator) -> Outcome:
    return COUNTERWEIGHT.act(LOADED, Offset(x, 0.0), simulator)


def test_ideal_by_hand() -> None:
    assert LOADED.margin == pytest.approx(0.1 - 1.25 / 1.5)
    assert COUNTERWEIGHT.ideal(LOADED) == Offset(1.75, 0.0)
    assert COUNTERWEIGHT.target(LOADED) == "<answer>175</answer>"


# All weigh 2.5, so the red block may be 0.1 * 2.5 = 0.25 off.
@pytest.mark.parametrize(
    ("x", "stands"), [(1.75, True), (1.53, True), (1.97, True), (1.45, False), (2.05, False)]
)
def test_it_stands_where_the_red_block_balances(
    x: float, stands: bool, simulator: Simulator
) -> None:
    outcome = act(x, simulator)
    assert (outcome.status, outcome.success) == ("settled", stands)
    assert outcome.distance == pytest.approx(abs(x - 1.75))


def test_inside_the_load_is_illegal_and_beside_the_plank_falls(simulator: Simulator) -> None:
    assert act(3.9, simulator).status == "illegal"
    beside = act(0.0, simulator)
    assert (beside.status, beside.success) == ("settled", False)
    assert COUNTERWEIGHT.act(LOADED, Unparseable("words"), simulator) == Outcome(
        "unparseable", success=False
    )


@pytest.mark.parametrize("blocks", [(2, 4), (5, 6)])
def test_scenes_stand_at_the_ideal_and_never_over_the_middle(
    blocks: tuple[int, int], simulator: Simulator
) -> None:
    settings, right = EnvironmentConfig(num_blocks=blocks), []
    for index in range(20):
        one = make_scene(COUNTERWEIGHT, settings, 0, "test", index)
        red, ideal = one.blocks[-1], COUNTERWEIGHT.ideal(one)
        assert isinstance(ideal, Offset)
        assert one.margin <= -0.05
        assert COUNTERWEIGHT.act(one, ideal, simulator).success
        for x in (0.0, carrying_block(one.tower).x - red.x):
            assert not COUNTERWEIGHT.act(one, Offset(round(x, 2), 0.0), simulator).success
        right.append(ideal.x > 0)
    assert all(one is not other for one, other in zip(right[::2], right[1::2], strict=True))


@pytest.mark.parametrize(("loads", "draws"), [(1, 100_000), (2, 400_000), (3, 1_600_000)])
def test_no_guess_is_right_often(loads: int, draws: int) -> None:
    beams = sample_beams(np.random.default_rng(7), EnvironmentConfig(), loads, draws)
    landmarks, (low, high) = beams.landmarks(), beams.right_places()
    kept = load_prices()[kind_of(loads)].keep(np.random.default_rng(8), low, high, landmarks)
    shares = [
        ((low < places) & (places < high))[kept].mean()
        for places in (guess.places(landmarks) for guess in all_guesses(landmarks))
    ]
    assert kept.sum() > 150
    assert max(shares) <= 0.45


@pytest.mark.parametrize("name", ["counterweight", "bridge"])
def test_knowing_the_side_and_the_best_distance_is_seldom_enough(name: str) -> None:
    task, ways = TASKS[name], []
    for index in range(200):
        scene = make_scene(task, EnvironmentConfig(), 0, "test", index)
        red = next(block for block in scene.blocks if block.color == "red")
        pivot = scene.blocks[0] if name == "counterweight" else carrying_block(scene.blocks)
        low, high = (red.x - pivot.x + x for x in right_interval(task, scene))
        ways.append((low, high) if low + high > 0 else (-high, -low))
    shares = [np.mean([low < x < high for low, high in ways]) for x in np.arange(0.05, 2.5, 0.05)]
    assert max(shares) <= 0.45
