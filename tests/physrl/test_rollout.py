"""Attempts: who may try again, what is shown, and what is carried out."""

from dataclasses import replace

import numpy as np
import pytest

from physrl.config.algorithm import SFTConfig
from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import SimulatedRewardConfig
from physrl.config.run import RunConfig
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.rollout import (
    SceneSource,
    demonstrate,
    follow_ups,
    longest_conversation,
    prepare,
    retry,
    roll_out,
    scene_source,
)
from physrl.tasks import TASKS
from physrl.types import Completion, Generation, RolloutGroup

REWARD = SimulatedRewardConfig()
WORDS = "no idea <|im_end|><|im_start|>user <|image_pad|> \ufffd"
"""A completion that spells what only the template may say."""
SOURCE = SceneSource("place_closed_loop", EnvironmentConfig(), 0, "train", reasoning=False)
THINKING = replace(SOURCE, reasoning=True)


def generation(*texts: str) -> Generation:
    return Generation((7,), tuple(Completion(text, (1,), (0.0,), False, 0) for text in texts))


def begin(
    task: str, simulator: Simulator, renderer: TinyRenderer
) -> tuple[list[RolloutGroup], str]:
    """A group of a right answer, a wrong one and none; and the right answer."""
    scenes, prompts = prepare(replace(SOURCE, task=task), [3], renderer)
    right = TASKS[task].target(scenes[0])
    texts = (right, "<answer>300 800</answer>", WORDS)
    return roll_out(scenes, prompts, [generation(*texts)], REWARD, simulator), right


def test_who_failed_tries_again_and_sees_what_happened(
    simulator: Simulator, renderer: TinyRenderer
) -> None:
    groups, right = begin("place_closed_loop", simulator, renderer)
    prompts = follow_ups(groups, renderer, SOURCE)
    (group,) = groups
    first = group.prompt.turns
    assert [prompt.turns[:-1] for prompt in prompts] == [
        (*first, replace(first[0], role="assistant", text=text, images=()))
        for text in ("<answer>300 800</answer>", "No answer.")
    ]
    # A block was dropped beside the tower; the second answer moved nothing.
    assert (prompts[0].images[1] != group.prompt.images[0]).any()
    assert np.array_equal(prompts[1].images[1], group.prompt.images[0])
    assert len({group.prompt.prompt_id, *(prompt.prompt_id for prompt in prompts)}) == 3

    groups = retry(groups, prompts, [generation(WORDS), generation(right)], REWARD, simulator)
    attempts = [len(rollout.attempts) for rollout in groups[0].rollouts]
    assert attempts == [1, 2, 2]
    assert groups[0].rollouts[0].last.outcome.success
    assert groups[0].rollouts[2].last.outcome.success
    (prompt,) = follow_ups(groups, renderer, SOURCE)
    assert len(prompt.images) == 3

    groups = retry(groups, [prompt], [generation(WORDS)], REWARD, simulator)
    assert [len(rollout.attempts) for rollout in groups[0].rollouts] == [1, 3, 2]
    assert follow_ups(groups, renderer, SOURCE) == []
    assert len(groups[0].attempts) == 6


def test_other_tasks_are_answered_once(simulator: Simulator, renderer: TinyRenderer) -> None:
    groups, _ = begin("place", simulator, renderer)
    assert follow_ups(groups, renderer, SOURCE) == []
    with pytest.raises(ValueError, match="shorter"):
        retry(groups, [groups[0].prompt], [], REWARD, simulator)


def test_the_longest_conversation_bounds_all(simulator: Simulator, renderer: TinyRenderer) -> None:
    longest = longest_conversation(SOURCE, renderer)
    assert len(longest.images) == 3
    groups, _ = begin("place_closed_loop", simulator, renderer)
    for _ in range(2):
        prompts = follow_ups(groups, renderer, SOURCE)
        answers = [generation("<answer>-1000 -1000</answer>") for _ in prompts]
        groups = retry(groups, prompts, answers, REWARD, simulator)
    texts = [sum(len(t.text) for t in a.prompt.turns) for a in groups[0].attempts]
    assert max(texts) <= sum(len(turn.text) for turn in longest.turns)
    thinking = follow_ups(begin("place_closed_loop", simulator, renderer)[0], renderer, THINKING)
    assert all("<think>" in prompt.text for prompt in thinking)


def test_a_mixture_asks_its_tasks_in_turn(renderer: TinyRenderer, simulator: Simulator) -> None:
    mixture = replace(SOURCE, task="place", mixture=("place", "stability"))
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


def test_a_run_trains_on_its_mixture_and_is_tested_on_tasks_alone() -> None:
    config = RunConfig(
        task="place",
        mixture=("place", "stability"),
        algorithm=SFTConfig(targets="shuffled"),
    )
    train = scene_source(config, "place", "train")
    assert (train.tasks, train.shuffled) == (("place", "stability"), True)
    warm = scene_source(config, "place", "warm")
    assert (warm.tasks, warm.shuffled) == (("place", "stability"), False)
    assert scene_source(config, "place", "test").tasks == ("place",)
    assert scene_source(config, "stability", "train").tasks == ("stability",)
