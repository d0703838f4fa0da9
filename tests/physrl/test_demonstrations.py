"""Demonstrations: ideal answers, mixtures of tasks, shuffled answers, outcomes."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.demonstrations import demonstrate
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.scene_source import SceneSource, prepare
from physrl.tasks import TASKS
from physrl.tasks.prediction import prediction_text

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
    source = replace(SOURCE, task="stability", mixture=("stability", "place_x"), targets="shuffled")
    indices = range(0, 80, 2)
    shown = demonstrate(source, indices, renderer, simulator)
    true = demonstrate(replace(source, targets="ideal"), indices, renderer, simulator)
    assert {one.target for one in shown} == {"<answer>Yes</answer>", "<answer>No</answer>"}
    # As often right as a coin: 3.8 standard deviations either side of 20 of 40.
    assert 8 <= sum(a.target == b.target for a, b in zip(shown, true, strict=True)) <= 32
    again = demonstrate(source, [indices[7]], renderer, simulator)
    assert again[0].target == shown[7].target
    (other,) = demonstrate(source, [1], renderer, simulator)
    assert TASKS["place_x"].parse(other.target) != TASKS["place_x"].parse("")


@pytest.mark.parametrize("task", ["place", "place_x", "stabilize"])
def test_an_observer_predicts_what_other_policies_cause(
    task: str, renderer: TinyRenderer, simulator: Simulator
) -> None:
    source = replace(SOURCE, task=task, targets="outcomes")
    shown = demonstrate(source, range(40), renderer, simulator)
    assert [one.target for one in demonstrate(source, [7], renderer, simulator)] == [
        shown[7].target
    ]
    scenes, _ = prepare(source, range(40), renderer)
    taken, ideals = [], [TASKS[task].ideal(scene) for scene in scenes]
    for scene, one in zip(scenes, shown, strict=True):
        assert one.prompt.prompt_id == f"{scene.scene_id}#outcome"
        values = re.search(r"moved by (-?\d+(?: -?\d+)?):", one.prompt.text)
        assert values is not None
        action = TASKS[task].parse(f"<answer>{values[1]}</answer>")
        outcome = TASKS[task].act(scene, action, simulator)
        assert outcome.motion is not None
        assert one.target == prediction_text(outcome.motion)
        taken.append(action)
    # Actions vary, few are ideal, and both falling and standing are seen.
    assert sum(a == ideal for a, ideal in zip(taken, ideals, strict=True)) < 10
    assert 4 < sum("none" in one.target for one in shown) < 36


def test_each_move_of_a_plan_is_demonstrated(renderer: TinyRenderer, simulator: Simulator) -> None:
    shown = demonstrate(replace(SOURCE, task="build"), [0, 1], renderer, simulator)
    assert [len(one.prompt.images) for one in shown] == [1, 2, 3, 1, 2, 3]
    assert len({one.prompt.prompt_id for one in shown}) == 6
    for before, after in pairwise(shown[:3]):
        assert after.prompt.turns[: len(before.prompt.turns)] == before.prompt.turns
        assert after.prompt.turns[-2].text == before.target
    retried = demonstrate(replace(SOURCE, task="place_closed_loop"), [0], renderer, simulator)
    assert len(retried) == 1
