"""Attempts: who may try again, what is shown, and what is carried out."""

from dataclasses import replace

import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import SimulatedRewardConfig
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.rollout import SceneSource, follow_ups, prepare, retry, roll_out
from physrl.tasks import TASKS
from physrl.types import Completion, Generation, RolloutGroup

REWARD = SimulatedRewardConfig()
WORDS = "no idea"


def generation(*texts: str) -> Generation:
    return Generation((7,), tuple(Completion(text, (1,), (0.0,), False, 0) for text in texts))


def begin(
    task: str, simulator: Simulator, renderer: TinyRenderer
) -> tuple[list[RolloutGroup], str]:
    """A group of a right answer, a wrong one and none; and the right answer."""
    source = SceneSource(task, EnvironmentConfig(), 0, "train", reasoning=False)
    scenes, prompts = prepare(source, [3], renderer)
    right = TASKS[task].target(scenes[0])
    texts = (right, "<answer>300 800</answer>", WORDS)
    return roll_out(scenes, prompts, [generation(*texts)], REWARD, simulator), right


def test_who_failed_tries_again_and_sees_what_happened(
    simulator: Simulator, renderer: TinyRenderer
) -> None:
    groups, right = begin("place_closed_loop", simulator, renderer)
    prompts = follow_ups(groups, renderer, 84)
    (group,) = groups
    first = group.prompt.turns
    assert [prompt.turns[:-1] for prompt in prompts] == [
        (*first, replace(first[0], role="assistant", text=text, images=()))
        for text in ("<answer>300 800</answer>", WORDS)
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
    (prompt,) = follow_ups(groups, renderer, 84)
    assert len(prompt.images) == 3

    groups = retry(groups, [prompt], [generation(WORDS)], REWARD, simulator)
    assert [len(rollout.attempts) for rollout in groups[0].rollouts] == [1, 3, 2]
    assert follow_ups(groups, renderer, 84) == []
    assert len(groups[0].attempts) == 6


def test_other_tasks_are_answered_once(simulator: Simulator, renderer: TinyRenderer) -> None:
    groups, _ = begin("place", simulator, renderer)
    assert follow_ups(groups, renderer, 84) == []
    with pytest.raises(ValueError, match="shorter"):
        retry(groups, [groups[0].prompt], [], REWARD, simulator)
