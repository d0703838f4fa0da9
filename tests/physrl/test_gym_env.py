"""Gymnasium environments: Gymnasium's own checks, and episodes."""

import warnings
from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import PaperRewardConfig, SimulatedRewardConfig
from physrl.environments.generators import GENERATORS
from physrl.environments.simulator import Simulator
from physrl.gym_env import TowerEnv, environment_id
from physrl.tasks import TASKS
from physrl.tasks.plan import ideal_plan
from physrl.tasks.task import make_scene
from physrl.types import Offset, Verdict

SMALL = EnvironmentConfig(image_size=28)


def ideal_action(task: str, seed: int, index: int) -> object:
    ideal = TASKS[task].ideal(make_scene(TASKS[task], SMALL, seed, "train", index))
    if isinstance(ideal, Verdict):
        return int(ideal.falls)
    return np.array([getattr(ideal, axis) for axis in TASKS[task].axes], np.float32)


@pytest.fixture
def closed_loop() -> Iterator[TowerEnv]:
    env = TowerEnv("place_closed_loop", SMALL)
    yield env
    env.close()


def test_names() -> None:
    assert [environment_id(name) for name in TASKS] == [
        "physrl/Stability-v0",
        "physrl/Judge-v0",
        "physrl/Stabilize-v0",
        "physrl/PlaceX-v0",
        "physrl/PlaceY-v0",
        "physrl/Place-v0",
        "physrl/PlaceClosedLoop-v0",
        "physrl/Counterweight-v0",
        "physrl/Build-v0",
        "physrl/Bridge-v0",
    ]


@pytest.mark.parametrize("name", TASKS)
def test_gymnasiums_checker_passes(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Actions are block widths, not shares of them: `RescaleAction` makes shares.
        warnings.filterwarnings("ignore", "(?s).*symmetric and normalized space")
        env = gymnasium.make(environment_id(name), environment=SMALL, render_mode="rgb_array")
        check_env(env.unwrapped)
    env.close()


@pytest.mark.parametrize("name", [name for name in TASKS if name != "build"])
def test_the_ideal_action_succeeds_at_once(name: str) -> None:
    env = TowerEnv(name, SMALL)
    for index in range(3):
        image, info = env.reset(seed=7 if index == 0 else None)
        assert image.shape == (28, 28, 3)
        assert info["scene_id"] == f"{name}/train/iid/7/{index}"
        _, reward, terminated, truncated, info = env.step(ideal_action(name, 7, index))
        assert (terminated, truncated, info["success"]) == (True, False, True)
        assert reward >= 0.99
    env.close()


def test_scenes_follow_seed_and_index(closed_loop: TowerEnv) -> None:
    first, _ = closed_loop.reset(seed=3)
    second, _ = closed_loop.reset()
    again, _ = closed_loop.reset(seed=3)
    chosen, info = closed_loop.reset(options={"index": 1})
    assert (first == again).all()
    assert (first != second).any()
    assert (second == chosen).all()
    assert info["scene_id"] == "place_closed_loop/train/iid/3/1"


def test_three_attempts_show_outcomes_and_reward_the_last(closed_loop: TowerEnv) -> None:
    before, _ = closed_loop.reset(seed=0)
    aside, illegal = np.array([4.0, 3.0], np.float32), np.array([0.0, -2.0], np.float32)
    shown, reward, terminated, _, info = closed_loop.step(aside)
    assert (reward, terminated, info["status"], info["answer"]) == (0, False, "settled", "400 300")
    assert (shown != before).any()
    shown, reward, terminated, _, info = closed_loop.step(illegal)
    assert (reward, terminated, info["status"]) == (0, False, "illegal")
    assert (shown == before).all()
    _, reward, terminated, _, info = closed_loop.step(ideal_action("place_closed_loop", 0, 0))
    assert (terminated, info["success"]) == (True, True)
    assert reward == pytest.approx(1.25, abs=0.02)
    with pytest.raises(gymnasium.error.ResetNeeded):
        closed_loop.step(aside)


def test_an_early_success_ends_the_episode_and_earns_more(closed_loop: TowerEnv) -> None:
    closed_loop.reset(seed=0)
    _, reward, terminated, _, _ = closed_loop.step(ideal_action("place_closed_loop", 0, 0))
    assert terminated
    assert reward == pytest.approx(1.5, abs=0.02)


@pytest.mark.parametrize("kind", [np.float64, np.float32, int, list])
def test_numbers_of_any_type_are_actions(kind: type, closed_loop: TowerEnv) -> None:
    action = [4, 3] if kind is list else np.array([4, 3], kind)
    closed_loop.reset(seed=0)
    *_, info = closed_loop.step(action)
    assert info["answer"] == "400 300"


@pytest.mark.parametrize("index", [-1, 2**31, 2**70])
def test_an_index_outside_the_stream_is_refused(index: int, closed_loop: TowerEnv) -> None:
    with pytest.raises(gymnasium.error.InvalidBound, match=f"index.*{index}"):
        closed_loop.reset(seed=0, options={"index": index})


@pytest.mark.parametrize("argument", ["task", "split", "generator"])
def test_an_unknown_name_is_refused(argument: str) -> None:
    message = f"{argument}.*'nope'"
    with pytest.raises(gymnasium.error.Error, match=message):
        gymnasium.make(environment_id("place"), **{argument: "nope"})


def test_a_closed_environment_is_refused() -> None:
    env = TowerEnv("place", SMALL)
    env.reset(seed=0)
    env.close()
    env.close()
    with pytest.raises(gymnasium.error.ClosedEnvironmentError):
        env.step([1, 2])
    with pytest.raises(gymnasium.error.ClosedEnvironmentError):
        env.reset(seed=0)


def test_a_named_set_has_its_own_scenes() -> None:
    env = TowerEnv("place", SMALL, split="test", generator="tall")
    _, info = env.reset(seed=3)
    tall = make_scene(TASKS["place"], GENERATORS["tall"](SMALL), 3, "test", 0, "tall")
    assert info["scene_id"] == tall.scene_id == "place/test/tall/3/0"
    assert len(tall.blocks) > SMALL.num_blocks[1]
    ideal = TASKS["place"].ideal(tall)
    assert isinstance(ideal, Offset)
    *_, info = env.step([ideal.x, ideal.y])
    assert info["success"]
    env.close()


@pytest.mark.parametrize(
    "action", [np.array([np.nan, 0], np.float32), np.zeros(3), "left", None, [[1], [2]], [9, 0]]
)
def test_invalid_actions_are_refused(action: object, closed_loop: TowerEnv) -> None:
    closed_loop.reset(seed=0)
    with pytest.raises(gymnasium.error.InvalidAction):
        closed_loop.step(action)


def test_reward_split_and_rounding_are_as_configured() -> None:
    env = TowerEnv("place_x", SMALL, PaperRewardConfig(), "validation")
    env.reset(seed=1)
    scene = make_scene(TASKS["place_x"], SMALL, 1, "validation", 0)
    ideal = TASKS["place_x"].ideal(scene)
    assert isinstance(ideal, Offset)
    _, reward, *_, info = env.step(np.array([ideal.x + 0.014], np.float32))
    assert reward == pytest.approx(9.99)
    assert info["answer"] == str(round(100 * (ideal.x + 0.01)))
    env.close()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vectors_of_environments(mode: str) -> None:
    name = environment_id("place")
    env = gymnasium.make_vec(name, num_envs=2, vectorization_mode=mode, environment=SMALL)
    images, _ = env.reset(seed=5)
    assert images.shape == (2, 28, 28, 3)
    actions = np.stack([ideal_action("place", 5 + place, 0) for place in range(2)])  # type: ignore[arg-type]
    _, rewards, terminated, _, info = env.step(actions)
    assert terminated.all()
    assert info["success"].all()
    reward = SimulatedRewardConfig()
    largest = reward.success + reward.height
    assert np.all((largest - 0.1 < rewards) & (rewards < largest + 0.01))
    env.close()


def test_rendered_images_are_larger() -> None:
    env = gymnasium.make(environment_id("stability"), environment=SMALL, render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (224, 224, 3)  # type: ignore[union-attr]
    env.close()


def test_moves_of_build_follow_each_other() -> None:
    env, task = TowerEnv("build", SMALL), TASKS["build"]
    image, _ = env.reset(seed=7)
    simulator = Simulator()
    steps = list(ideal_plan(task, make_scene(task, SMALL, 7, "train", 0), simulator))
    simulator.close()
    for number, step in enumerate(steps, 1):
        before = image
        action = np.array([step.action.x], np.float32)  # type: ignore[union-attr]
        image, reward, over, _, info = env.step(action)
        assert (image != before).any()
        assert (over, info["success"]) == (number == 3, number == 3)
        assert (reward > 1) == over
    env.close()
