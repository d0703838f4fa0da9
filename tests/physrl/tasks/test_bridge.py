import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin
from physrl.environments.simulator import Simulator
from physrl.tasks import TASKS
from physrl.tasks.bridge import kind_of, propose
from physrl.tasks.landmarks import all_guesses, plank_landmarks
from physrl.tasks.placing import carrying_block
from physrl.tasks.prices import load_prices
from physrl.tasks.task import make_scene
from physrl.types import Appearance, Block, Camera, Offset, SceneSpec

BRIDGE = TASKS["bridge"]


def scene(*blocks: Block) -> SceneSpec:
    camera = Camera(0.0, 3.0, 7.5, 1.5, 46.0)
    light = Appearance(light=(0.0, 4.0, 3.0))
    return SceneSpec(0, "bridge", "test", 0, blocks, False, margin(blocks), camera, light)


# The plank weighs 4 * 0.2 * 0.625 = 0.5 and the load 1: together they balance 1.5 * 1 / 1.5 = 1
# to the right of the plank's middle.
PIER = Block(-1.0, 0.5, 0.0, 0.0, "red", 1.0, (0.3, 1.0))
PLANK = Block(0.0, 1.1, 0.0, 0.0, "blue", 0.2, (20.0, 3.125))
LOADED = scene(PIER, PLANK, Block(1.5, 1.7, 0.0, 0.0, "green"))


def test_ideal_by_hand() -> None:
    assert LOADED.margin == pytest.approx(0.15 - 2)
    assert BRIDGE.ideal(LOADED) == Offset(2.0, 0.0)
    assert BRIDGE.target(LOADED) == "<answer>200</answer>"


@pytest.mark.parametrize(
    ("x", "stands"), [(2.0, True), (1.88, True), (2.12, True), (1.8, False), (2.2, False)]
)
def test_it_stands_within_half_the_piers_width(
    x: float, stands: bool, simulator: Simulator
) -> None:
    assert BRIDGE.act(LOADED, Offset(x, 0.0), simulator).success == stands


def test_equal_loads_at_equal_distances_balance_in_the_middle(simulator: Simulator) -> None:
    loads = (Block(x, 1.7, 0.0, 0.0, "green") for x in (-1.5, 1.5))
    balanced = scene(PIER, PLANK, *loads)
    assert BRIDGE.ideal(balanced) == Offset(1.0, 0.0)
    assert BRIDGE.act(balanced, Offset(1.0, 0.0), simulator).success


@pytest.mark.parametrize("blocks", [(2, 4), (5, 6)])
def test_scenes_stand_at_the_ideal_and_never_under_the_middle(
    blocks: tuple[int, int], simulator: Simulator
) -> None:
    settings, right = EnvironmentConfig(num_blocks=blocks), []
    for index in range(20):
        one = make_scene(BRIDGE, settings, 0, "test", index)
        ideal, middle = BRIDGE.ideal(one), carrying_block(one.blocks).x - one.blocks[0].x
        assert isinstance(ideal, Offset)
        assert len(one.blocks) - 1 in range(max(3, blocks[0]), blocks[1] + 1)
        assert BRIDGE.act(one, ideal, simulator).success
        for x in (0.0, middle):
            assert not BRIDGE.act(one, Offset(round(x, 2), 0.0), simulator).success
        right.append(ideal.x > 0)
    assert all(one is not other for one, other in zip(right[::2], right[1::2], strict=True))


@pytest.mark.parametrize("loads", [2, 3, 4])
def test_no_guess_is_right_often(loads: int) -> None:
    planks, usable = propose(np.random.default_rng(7), EnvironmentConfig(), loads, 200_000)
    prices, landmarks = load_prices()[kind_of(loads)], plank_landmarks(planks)
    low, high = planks.balances - 0.125, planks.balances + 0.125
    kept = usable & prices.keep(np.random.default_rng(8), low, high, landmarks)
    shares = [
        ((low < places) & (places < high))[kept].mean()
        for places in (guess.places(landmarks) for guess in all_guesses(landmarks))
    ]
    assert kept.sum() > 600
    assert max(shares) <= 0.45


def test_a_guess_goes_from_the_planks_middle_to_a_landmark() -> None:
    loads = (Block(x, 1.7, 0.0, 0.0, "green", size) for x, size in ((-1.5, 0.6), (1.0, 1.2)))
    answers = {
        (guess.start, guess.end, guess.share, guess.step): answer
        for guess, answer in BRIDGE.families["guess"](scene(PIER, PLANK, *loads)).items()
    }
    # The pier is at -1, the plank's middle at 0 and its end at 2.
    assert answers["below", "below", 0.0, 0.0] == Offset(1.0, 0.0)
    assert answers["below", "largest", 0.5, 0.0] == Offset(1.5, 0.0)
    assert answers["below", "mean", 1.0, 0.0] == Offset(0.75, 0.0)
    assert answers["below", "right", 0.0, 0.3] == Offset(1.3, 0.0)
    assert ("below", "post", 1.0, 0.0) not in answers
