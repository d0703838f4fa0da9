"""Rollout groups that are made by hand."""

from collections.abc import Sequence

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import RewardConfig, SimulatedRewardConfig
from physrl.environments.renderer import Renderer
from physrl.environments.simulator import Simulator
from physrl.groups import Group, GroupState, local_group
from physrl.scene_source import SceneSource, prepare
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.turns import carry_out
from physrl.types import (
    Attempt,
    Completion,
    Generation,
    Offset,
    Outcome,
    Prompt,
    Reward,
    Rollout,
    RolloutGroup,
    Unparseable,
)


def complete(record: RolloutGroup, index: int = 0) -> Group:
    """Make a group of a record, as if its last turn were over."""
    return local_group(GroupState(index, record, ()))


def generation(*texts: str) -> Generation:
    """Make a generation of completions of one token each."""
    return Generation((7,), tuple(Completion(text, (1,), (0.0,), False, 0) for text in texts))


def first_turn(
    source: SceneSource,
    index: int,
    texts: Sequence[str],
    simulator: Simulator,
    renderer: Renderer,
    reward: RewardConfig | None = None,
) -> RolloutGroup:
    """Carry out completions of a scene's first prompt."""
    (scene,), (prompt,) = prepare(source, [index], renderer)
    group = RolloutGroup(scene, prompt, ())
    reward = reward or SimulatedRewardConfig()
    answers = [generation(*texts)]
    return carry_out(group, [prompt], answers, reward, simulator, source.auxiliary)


def group_of(rewards: Sequence[float], truncated: bool = False) -> Group:
    """Make a group of one-attempt rollouts, successful where the reward is positive."""
    return complete(record_of(rewards, truncated))


def record_of(rewards: Sequence[float], truncated: bool = False) -> RolloutGroup:
    """Make a group's record: one attempt a rollout, successful where the reward is positive."""
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
