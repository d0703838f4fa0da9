"""Queued steps in a checkpoint: completions by prompt, and a round trip through files."""

from dataclasses import replace
from pathlib import Path

from cluster.rollout.queued_steps import (
    QueuedStep,
    load_queued_steps,
    queued_step,
    save_queued_step,
)
from physrl.types import Generation, Offset, Prompt, Rollout, RolloutGroup
from tests.support.rollouts import SCENE, rollout_group


def two_attempts() -> RolloutGroup:
    """Make a group of two rollouts, the second of which has another attempt."""
    group = rollout_group([Offset(1, 2), Offset(3, 4)])
    first, second = group.rollouts
    prompt = Prompt(SCENE.scene_id, group.prompt.turns, label="1.1")
    again = replace(second.last, prompt=prompt, prompt_token_ids=(1, 2, 3))
    second = Rollout((*second.attempts, again), second.reward)
    return replace(group, rollouts=(first, second))


def test_completions_are_collected_by_prompt() -> None:
    group = two_attempts()
    completion = group.attempts[0].completion
    assert queued_step([group]) == QueuedStep(
        (SCENE.scene_id,),
        {
            SCENE.scene_id: Generation((1, 2), (completion, completion)),
            f"{SCENE.scene_id}#1.1": Generation((1, 2, 3), (completion,)),
        },
    )


def test_steps_are_loaded_as_they_were_saved(tmp_path: Path) -> None:
    steps = {4: [two_attempts()], 17: [rollout_group([Offset(1, 2)])]}
    for number, records in steps.items():
        save_queued_step(tmp_path, number, records)
    assert load_queued_steps(tmp_path) == {n: queued_step(records) for n, records in steps.items()}


def test_a_checkpoint_without_queued_steps_has_none(tmp_path: Path) -> None:
    assert load_queued_steps(tmp_path) == {}
