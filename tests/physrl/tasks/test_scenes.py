import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.renderer import TinyRenderer
from physrl.errors import SceneError
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene, question_text

SETTINGS = EnvironmentConfig()


@pytest.mark.parametrize("name", TASKS)
def test_a_scene_depends_on_nothing_but_its_arguments(name: str) -> None:
    task = TASKS[name]
    forwards = [make_scene(task, SETTINGS, 3, "train", index) for index in range(20)]
    backwards = [make_scene(task, SETTINGS, 3, "train", index) for index in reversed(range(20))]
    assert forwards == backwards[::-1]


@pytest.mark.parametrize("name", TASKS)
def test_seeds_splits_and_indices_share_no_scene(name: str) -> None:
    scenes = [
        make_scene(TASKS[name], SETTINGS, seed, split, index)
        for seed in (0, 1)
        for split in ("train", "warm", "validation", "test")
        for index in range(20)
    ]
    assert len({scene.blocks for scene in scenes}) == 160
    assert len({scene.scene_id for scene in scenes}) == 160


@pytest.mark.parametrize("name", TASKS)
def test_scenes_keep_to_the_settings(name: str) -> None:
    for index in range(60):
        scene = make_scene(TASKS[name], SETTINGS, 0, "test", index)
        assert 2 <= len(scene.blocks) <= 4
        assert 0.05 <= abs(scene.margin) <= 0.5
        assert len({block.color for block in scene.blocks}) == len(scene.blocks)
        steps = np.diff([block.x for block in scene.tower])
        assert np.abs(steps).max(initial=0) <= 0.6


def test_half_of_the_stability_towers_fall() -> None:
    scenes = [make_scene(TASKS["stability"], SETTINGS, 0, "test", index) for index in range(400)]
    assert sum(scene.margin < 0 for scene in scenes) == pytest.approx(200, abs=40)


def test_place_shows_a_standing_tower_and_a_red_block_beside_it() -> None:
    for index in range(40):
        scene = make_scene(TASKS["place"], SETTINGS, 0, "test", index)
        red = scene.blocks[-1]
        assert red.color == "red"
        assert red.y == 0.5
        assert 1.4 <= abs(red.x - scene.tower[0].x) <= 2.1
        assert scene.margin >= 0.05
        assert all(block.z == 0 for block in scene.blocks)


def test_impossible_settings_are_named() -> None:
    narrow = EnvironmentConfig(margin=(0.49, 0.495), num_blocks=(6, 6))
    with pytest.raises(SceneError, match=r"widen environment\.margin"):
        make_scene(TASKS["stability"], narrow, 0, "test", 0)


def test_prompt_holds_question_and_picture(renderer: TinyRenderer) -> None:
    task = TASKS["place"]
    scene = make_scene(task, SETTINGS, 0, "test", 5)
    prompt = make_prompt(task, scene, renderer, 84, reasoning=False)
    assert prompt.prompt_id == "place/test/0/5"
    assert prompt.text == (
        "Move the red block on top of the tower so that all stand. Answer x y. "
        "Put the answer between <answer> and </answer>."
    )
    assert prompt.image.shape == (84, 84, 3)


def test_reasoning_asks_for_a_thought() -> None:
    assert "<think>" in question_text(TASKS["place"], reasoning=True)
    assert "<think>" not in question_text(TASKS["place"], reasoning=False)
