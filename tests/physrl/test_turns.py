"""Turns: retries, the prompts of further attempts, execution of completions."""

from dataclasses import replace

import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import SimulatedRewardConfig
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.scene_source import SceneSource, prepare
from physrl.tasks import TASKS
from physrl.tasks.examples import Examples
from physrl.tasks.plan import ideal_plan
from physrl.turns import carry_out, follow_ups, longest_conversation
from physrl.types import RolloutGroup
from tests.support.groups import first_turn, generation

REWARD = SimulatedRewardConfig()
WORDS = "no idea <|im_end|><|im_start|>user <|image_pad|> \ufffd"
"""A completion that contains special tokens of the template."""
SOURCE = SceneSource("place_closed_loop", EnvironmentConfig(), 0, "train", reasoning=False)
THINKING = replace(SOURCE, reasoning=True)


def begin(task: str, simulator: Simulator, renderer: TinyRenderer) -> tuple[RolloutGroup, str]:
    """Make a group of a right, a wrong and no answer; return it with the right answer."""
    source = replace(SOURCE, task=task)
    (scene,), _ = prepare(source, [3], renderer)
    right = TASKS[task].target(scene)
    texts = (right, "<answer>300 800</answer>", WORDS)
    return first_turn(source, 3, texts, simulator, renderer, REWARD), right


def test_a_failed_rollout_retries_and_sees_the_outcome(
    simulator: Simulator, renderer: TinyRenderer
) -> None:
    group, right = begin("place_closed_loop", simulator, renderer)
    prompts = follow_ups(group, renderer, SOURCE)
    first = group.prompt.turns
    assert [prompt.turns[:-1] for prompt in prompts] == [
        (*first, replace(first[0], role="assistant", text=text, images=()))
        for text in ("<answer>300 800</answer>", "No answer.")
    ]
    # A block was dropped beside the tower; the second answer moved nothing.
    assert (prompts[0].images[1] != group.prompt.images[0]).any()
    assert np.array_equal(prompts[1].images[1], group.prompt.images[0])
    assert len({group.prompt.prompt_id, *(prompt.prompt_id for prompt in prompts)}) == 3
    assert {prompt.scene_id for prompt in prompts} == {group.scene.scene_id}

    answers = [generation(WORDS), generation(right)]
    group = carry_out(group, prompts, answers, REWARD, simulator)
    assert [len(rollout.attempts) for rollout in group.rollouts] == [1, 2, 2]
    assert group.rollouts[0].last.outcome.success
    assert group.rollouts[2].last.outcome.success
    (prompt,) = follow_ups(group, renderer, SOURCE)
    assert len(prompt.images) == 3

    group = carry_out(group, [prompt], [generation(WORDS)], REWARD, simulator)
    assert [len(rollout.attempts) for rollout in group.rollouts] == [1, 3, 2]
    assert follow_ups(group, renderer, SOURCE) == ()
    assert len(group.attempts) == 6


def test_other_tasks_have_one_attempt(simulator: Simulator, renderer: TinyRenderer) -> None:
    group, _ = begin("place", simulator, renderer)
    assert follow_ups(group, renderer, SOURCE) == ()
    with pytest.raises(ValueError, match="shorter"):
        carry_out(group, [group.prompt], [], REWARD, simulator)


def test_the_longest_conversation_bounds_all(simulator: Simulator, renderer: TinyRenderer) -> None:
    longest = longest_conversation(SOURCE, renderer)
    assert len(longest.images) == 3
    examples = Examples(4, SOURCE.environment, 0)
    assert len(longest_conversation(replace(SOURCE, examples=examples), renderer).images) == 7
    group, _ = begin("place_closed_loop", simulator, renderer)
    for _ in range(2):
        prompts = follow_ups(group, renderer, SOURCE)
        answers = [generation("<answer>-1000 -1000</answer>") for _ in prompts]
        group = carry_out(group, prompts, answers, REWARD, simulator)
    texts = [sum(len(t.text) for t in a.prompt.turns) for a in group.attempts]
    assert max(texts) <= sum(len(turn.text) for turn in longest.turns)
    thinking = follow_ups(begin("place_closed_loop", simulator, renderer)[0], renderer, THINKING)
    assert all("<think>" in prompt.text for prompt in thinking)


def test_moves_of_build_follow_each_other(simulator: Simulator, renderer: TinyRenderer) -> None:
    source = replace(SOURCE, task="build")
    (scene,), _ = prepare(source, [0], renderer)
    steps = list(ideal_plan(TASKS["build"], scene, simulator))
    targets = [TASKS["build"].target(step.scene) for step in steps]
    group = first_turn(source, 0, (targets[0], WORDS), simulator, renderer, REWARD)
    for target in targets[1:]:
        prompts = follow_ups(group, renderer, source)
        assert len(prompts) == 2
        # Nothing was placed by words, so the image shows the same as before.
        assert np.array_equal(prompts[1].images[-1], prompts[1].images[0])
        assert (prompts[0].images[-1] != prompts[0].images[-2]).any()
        assert prompts[0].text.startswith("This is what happened. Now move the next red block.")
        answers = [generation(target), generation(WORDS)]
        group = carry_out(group, prompts, answers, REWARD, simulator)
    planned, idle = group.rollouts
    assert planned.last.outcome == steps[-1].outcome
    assert planned.last.outcome.success
    assert not idle.last.outcome.success
    assert follow_ups(group, renderer, source) == ()
