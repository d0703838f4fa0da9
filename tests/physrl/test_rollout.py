"""Attempts: who may try again, what is shown, and what is carried out."""

from dataclasses import replace

import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import SimulatedRewardConfig
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.rollout import follow_ups, longest_conversation, retry, roll_out
from physrl.scene_source import SceneSource, prepare
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
