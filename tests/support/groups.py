"""Groups of rollouts with given rewards."""

from collections.abc import Sequence

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import (
    Attempt,
    Completion,
    Offset,
    Outcome,
    Prompt,
    Reward,
    Rollout,
    RolloutGroup,
    Unparseable,
)


def group_of(rewards: Sequence[float], truncated: bool = False) -> RolloutGroup:
    """Make a group of one-attempt rollouts, successful where the reward is positive."""
    scene = make_scene(TASKS["place"], EnvironmentConfig(), 0, "train", 0)
    prompt = Prompt.ask("p", "?", np.zeros((1, 1, 3), np.uint8))
    rollouts = tuple(
        Rollout(
            (
                Attempt(
                    prompt,
                    (),
                    Completion("", (1, 2), (-0.5, -0.5), truncated, 0),
                    Offset(0, 0) if reward > 0 else Unparseable("words"),
                    Outcome("settled" if reward > 0 else "unparseable", success=reward > 0),
                ),
            ),
            Reward(reward, {"success": reward}),
        )
        for reward in rewards
    )
    return RolloutGroup(scene, prompt, rollouts)
