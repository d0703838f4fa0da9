from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.generators import GENERATORS
from physrl.environments.geometry import margin
from physrl.environments.palette import HELD_OUT_COLORS, RED
from physrl.environments.projection import corners, project
from physrl.environments.renderer import TinyRenderer
from physrl.errors import SceneError
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene, question_text

SETTINGS = EnvironmentConfig()
STACKS = ("place", "place_x", "place_y", "place_closed_loop")
"""Tasks whose red block is put on a tower that may fall without it."""
UNBOUND = ("stabilize", "counterweight", "bridge")
"""Tasks whose red block, or whose plank, is not yet where the towers of others end."""


@pytest.mark.parametrize("name", TASKS)
def test_a_scene_depends_on_nothing_but_its_arguments(name: str) -> None:
    task = TASKS[name]
    forwards = [make_scene(task, SETTINGS, 3, "train", index) for index in range(8)]
    backwards = [make_scene(task, SETTINGS, 3, "train", index) for index in reversed(range(8))]
    assert forwards == backwards[::-1]


@pytest.mark.parametrize("name", TASKS)
def test_seeds_splits_and_indices_share_no_scene(name: str) -> None:
    scenes = [
        make_scene(TASKS[name], SETTINGS, seed, split, index)
        for seed in (0, 1)
        for split in ("train", "warm", "validation", "test")
        for index in range(8)
    ]
    assert len({scene.blocks for scene in scenes}) == 64
    assert len({scene.scene_id for scene in scenes}) == 64


@pytest.mark.parametrize("name", TASKS)
def test_scenes_keep_to_the_settings(name: str) -> None:
    for index in range(40):
        scene = make_scene(TASKS[name], SETTINGS, 0, "test", index)
        assert 3 <= len(scene.blocks) <= 5 + (name in ("bridge", "counterweight"))  # a pier
        assert len({block.color for block in scene.blocks}) == len(scene.blocks)
        steps = np.diff([block.x for block in scene.tower])
        assert name in UNBOUND or np.abs(steps).max(initial=0) <= (0.9 if name in STACKS else 0.6)
        if name not in STACKS:
            assert abs(scene.margin) >= 0.05
            assert name in UNBOUND or abs(scene.margin) <= 0.4


@pytest.mark.parametrize("name", [*STACKS, "stabilize"])
def test_the_ideal_answer_has_a_margin_of_the_settings(name: str) -> None:
    task = TASKS[name]
    for index in range(40):
        scene = make_scene(task, SETTINGS, 0, "test", index)
        released = task.release(scene, task.ideal(scene))
        assert released is not None
        assert 0.04 <= margin(released.upright) <= 0.4  # answers are rounded


@pytest.mark.parametrize("twins", [True, False])
def test_one_of_each_pair_of_stability_towers_falls(twins: bool) -> None:
    settings = EnvironmentConfig(num_blocks=(2, 6), twins=twins)  # from three on
    scenes = [make_scene(TASKS["stability"], settings, 0, "test", index) for index in range(200)]
    first_falls = 0
    for one, other in zip(scenes[::2], scenes[1::2], strict=True):
        assert (one.margin < 0) is not (other.margin < 0)
        assert len(one.blocks) == len(other.blocks)
        assert (abs(one.margin + other.margin) < 0.02) or not twins
        first_falls += one.margin < 0
    assert {len(scene.blocks) for scene in scenes} == {3, 4, 5, 6}
    assert first_falls == pytest.approx(50, abs=15)


def test_a_pair_shares_neither_place_nor_colours_nor_camera() -> None:
    one, other = (make_scene(TASKS["stability"], SETTINGS, 0, "test", index) for index in (0, 1))
    assert one.blocks[0].x != other.blocks[0].x
    assert one.camera != other.camera
    assert one.appearance != other.appearance


def test_mixed_sizes_stand_on_each_other() -> None:
    settings = EnvironmentConfig(sizes="mixed", num_blocks=(4, 4))
    tower = make_scene(TASKS["stability"], settings, 0, "test", 0).blocks
    assert tower[0].y == tower[0].size / 2
    for below, above in pairwise(tower):
        assert above.y - below.y == pytest.approx((above.size + below.size) / 2)
    assert len({block.size for block in tower}) == 4
    assert all(0.7 <= block.size <= 1.3 for block in tower)


def test_held_out_colours_are_in_no_training_scene() -> None:
    scenes = {
        colors: [
            make_scene(TASKS["stability"], EnvironmentConfig(colors=colors), 0, "test", index)
            for index in range(40)
        ]
        for colors in ("seen", "held_out")
    }
    seen, held_out = (
        {block.color for scene in scenes[colors] for block in scene.blocks}
        for colors in ("seen", "held_out")
    )
    assert len(seen) == len(held_out) == 6
    assert not seen & held_out


@pytest.mark.parametrize("level", ["none", "photo", "wild"])
def test_nothing_in_a_training_scene_has_a_held_out_colour(level: str) -> None:
    settings = EnvironmentConfig(randomization=level)
    for name, index in product(TASKS, range(16)):
        scene = make_scene(TASKS[name], settings, 0, "train", index)
        shown = {block.color for block in (*scene.blocks, *scene.appearance.distractors)}
        assert not shown & set(HELD_OUT_COLORS)


@pytest.mark.parametrize("level", ["none", "photo", "wild"])
@pytest.mark.parametrize("name", [name for name in TASKS if TASKS[name].axes])
def test_the_best_place_lies_inside_the_image(name: str, level: str) -> None:
    task, trained_on = TASKS[name], EnvironmentConfig(randomization=level)
    for generator in ("iid", "tall", "camera", "sizes"):
        settings = GENERATORS[generator](trained_on)
        for index in range(12):
            scene = make_scene(task, settings, 0, "test", index, generator)
            ideal = task.ideal(scene)
            (red,) = (block for block in scene.blocks if block.color == RED)
            moved = replace(red, x=red.x + ideal.x, y=red.y + ideal.y)
            shares = np.stack(project(scene.camera, corners([moved])))
            assert shares.min() >= 0, (generator, index)
            assert shares.max() <= 1, (generator, index)


def test_place_shows_a_tower_and_a_red_block_beside_it() -> None:
    for index in range(40):
        scene = make_scene(TASKS["place"], SETTINGS, 0, "test", index)
        red = scene.blocks[-1]
        assert red.color == "red"
        assert red.y == red.size / 2
        assert 1.4 <= abs(red.x - scene.tower[-1].x) <= 3.8
        assert all(block.z == 0 for block in scene.blocks)


def test_impossible_settings_are_named() -> None:
    # With steps of 0.2 the load of the lowest of three blocks is at most 0.3 sqrt(2) = 0.43 off.
    easy = EnvironmentConfig(num_blocks=(3, 3), twins=False)
    narrow = easy.model_copy(update={"largest_step": 0.2})
    pair = (make_scene(TASKS["stability"], easy, 0, "test", index) for index in range(2))
    (falling,) = (scene.index for scene in pair if scene.margin < 0)
    with pytest.raises(SceneError, match=r"widen environment\.margin"):
        make_scene(TASKS["stability"], narrow, 0, "test", falling)


def test_prompt_holds_question_and_image(renderer: TinyRenderer) -> None:
    task = TASKS["place"]
    scene = make_scene(task, SETTINGS, 0, "test", 5)
    prompt = make_prompt(task, scene, renderer, 84, reasoning=False)
    assert prompt.prompt_id == "place/test/iid/0/5"
    assert prompt.text == (
        "Move the red block on top of the tower so that all stand. Answer x y. "
        "Put the answer between <answer> and </answer>."
    )
    assert prompt.image.shape == (84, 84, 3)


@pytest.mark.parametrize("name", TASKS)
def test_held_out_wordings_ask_the_same_about_the_same_scenes(
    name: str, renderer: TinyRenderer
) -> None:
    task, others = TASKS[name], SETTINGS.model_copy(update={"wording": "held_out"})
    asked = set()
    for index in range(30):
        seen = make_scene(task, SETTINGS, 0, "test", index)
        held_out = make_scene(task, others, 0, "test", index)
        assert seen.wording == 0
        assert held_out == replace(seen, wording=held_out.wording)
        prompt = make_prompt(task, held_out, renderer, 28, reasoning=False)
        assert prompt.text == question_text(task, held_out.wording, reasoning=False)
        asked.add(held_out.wording)
    assert asked == set(range(1, len(task.wordings)))
    assert len(set(task.wordings)) == len(task.wordings) > 2


def test_reasoning_asks_for_a_thought() -> None:
    assert "<think>" in question_text(TASKS["place"], reasoning=True)
    assert "<think>" not in question_text(TASKS["place"], reasoning=False)
