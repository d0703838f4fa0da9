"""Demonstrations: ideal answers, mixtures of tasks, shuffled answers."""

from dataclasses import replace

from physrl.config.environment import EnvironmentConfig
from physrl.demonstrations import demonstrate
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.scene_source import SceneSource, prepare
from physrl.tasks import TASKS

SOURCE = SceneSource("place", EnvironmentConfig(), 0, "train", reasoning=False)


def test_a_mixture_alternates_its_tasks(renderer: TinyRenderer, simulator: Simulator) -> None:
    mixture = replace(SOURCE, mixture=("place", "stability"))
    scenes, prompts = prepare(mixture, range(6), renderer)
    assert [scene.task for scene in scenes] == ["place", "stability"] * 3
    alone, _ = prepare(replace(SOURCE, task="stability"), range(3), renderer)
    assert scenes[1::2] == alone
    shown = demonstrate(mixture, range(2), renderer, simulator)
    assert [one.target for one in shown] == [
        TASKS[scene.task].target(scene) for scene in scenes[:2]
    ]
    assert [one.prompt.text for one in shown] == [prompt.text for prompt in prompts[:2]]


def test_shuffled_answers_are_those_of_other_scenes_of_the_task(
    renderer: TinyRenderer, simulator: Simulator
) -> None:
    source = replace(SOURCE, task="stability", mixture=("stability", "place_x"), shuffled=True)
    indices = range(0, 80, 2)
    shown = demonstrate(source, indices, renderer, simulator)
    true = demonstrate(replace(source, shuffled=False), indices, renderer, simulator)
    assert {one.target for one in shown} == {"<answer>Yes</answer>", "<answer>No</answer>"}
    # As often right as a coin: 3.8 standard deviations either side of 20 of 40.
    assert 8 <= sum(a.target == b.target for a, b in zip(shown, true, strict=True)) <= 32
    again = demonstrate(source, [indices[7]], renderer, simulator)
    assert again[0].target == shown[7].target
    (other,) = demonstrate(source, [1], renderer, simulator)
    assert TASKS["place_x"].parse(other.target) != TASKS["place_x"].parse("")
