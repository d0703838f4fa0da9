from dataclasses import replace

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.scene_source import SceneSource, prepare
from physrl.tasks import TASKS
from physrl.tasks.examples import BLANK, Examples
from physrl.tasks.task import make_scene
from physrl.turns import follow_ups
from tests.support.groups import first_turn

ENVIRONMENT = EnvironmentConfig()
STABILITY = TASKS["stability"]
TALL = EnvironmentConfig(num_blocks=(5, 6))
SOURCE = SceneSource("stability", TALL, 3, "test", reasoning=True, generator="tall")


def test_solved_examples_stand_before_every_question(renderer: TinyRenderer) -> None:
    source = replace(SOURCE, examples=Examples(4, ENVIRONMENT, 3))
    scenes, prompts = prepare(source, range(2), renderer)
    plain_scenes, plain = prepare(SOURCE, range(2), renderer)
    assert scenes == plain_scenes
    for prompt, question in zip(prompts, plain, strict=True):
        assert [turn.role for turn in prompt.turns] == ["user", "assistant"] * 4 + ["user"]
        assert prompt.text == question.text
        assert np.array_equal(prompt.images[-1], question.images[0])
        assert prompt.prompt_id == question.prompt_id
    # Two pairs: two of the four fall. Their answers hold no thought, and none is asked for.
    answers = [turn.text for turn in prompts[0].turns if turn.role == "assistant"]
    assert sorted(answers) == ["<answer>No</answer>"] * 2 + ["<answer>Yes</answer>"] * 2
    assert ["<think>" in turn.text for turn in prompts[0].turns] == [False] * 8 + [True]
    # All questions show the very same images, which are encoded once.
    assert prompts[0].images[0] is prompts[1].images[0]


def test_blank_images_show_nothing_even_after_a_failure(
    renderer: TinyRenderer, simulator: Simulator
) -> None:
    source = replace(SOURCE, task="place_closed_loop", environment=ENVIRONMENT, blank=True)
    group = first_turn(source, 0, ["no idea"], simulator, renderer)
    (again,) = follow_ups(group, renderer, source)
    assert len(again.images) == 2
    assert all((image == BLANK).all() for image in again.images)


def test_examples_of_form_show_no_scene(renderer: TinyRenderer) -> None:
    source = replace(SOURCE, examples=Examples(4, ENVIRONMENT, 3, "form"))
    _, (prompt, _) = prepare(source, range(2), renderer)
    assert all((image == BLANK).all() for image in prompt.images[:-1])
    assert not (prompt.images[-1] == BLANK).all()
    # The answers are those of the four scenes that follow the examples: two pairs.
    answers = [turn.text for turn in prompt.turns if turn.role == "assistant"]
    unseen = [make_scene(STABILITY, ENVIRONMENT, 3, "warm", index) for index in range(4, 8)]
    assert answers == [STABILITY.target(scene) for scene in unseen]
