"""Rollout groups made by hand."""

from collections.abc import Sequence
from pathlib import Path

from physrl.algorithms.advantage import Rewards
from physrl.data.rollouts import write_rollouts
from physrl.groups import Group
from physrl.types import (
    Action,
    Appearance,
    Attempt,
    Block,
    Camera,
    Completion,
    Image,
    Outcome,
    Prompt,
    Reward,
    Rollout,
    RolloutGroup,
    SceneSpec,
)

SCENE = SceneSpec(
    seed=0,
    task="place",
    split="train",
    index=17,
    blocks=(Block(0, 0.5, 0, 0, "blue"), Block(2, 0.5, 0, 0, "red")),
    movable=True,
    margin=0.5,
    camera=Camera(0, 3, 7, 1.5, 46),
    appearance=Appearance(light=(0, 4, 3)),
)


def write_step(path: Path, groups: Sequence[Group], advantages: Rewards, step: int) -> None:
    """Write a step's groups, as a run's workers and writer do."""
    write_rollouts(path, [each.read() for each in groups], advantages.ravel().tolist(), step)


def rollout_group(actions: Sequence[Action], *images: Image) -> RolloutGroup:
    """Make a group with one rollout of one attempt for each action."""
    prompt = Prompt.ask(SCENE.scene_id, "Where?", *images)
    completion = Completion("<answer>1 2</answer>", (4, 5, 6), (-0.5, -0.25, 0.0), False, 3)
    outcome = Outcome("settled", True, 1.0, 0.02, 0.125)
    rollouts = tuple(
        Rollout(
            (Attempt(prompt, (1, 2), completion, action, outcome),),
            Reward(1.25, {"success": 1.0, "height": 0.25}),
        )
        for action in actions
    )
    return RolloutGroup(SCENE, prompt, rollouts)
