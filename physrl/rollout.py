"""From completions to rollouts: parse, act, score."""

from collections.abc import Sequence

from physrl.config.reward import RewardConfig
from physrl.environments.simulator import Simulator
from physrl.rewards.score import score
from physrl.tasks import TASKS
from physrl.types import Action, Completion, Outcome, Rollout, SceneSpec


def roll_out(
    scene: SceneSpec, completions: Sequence[Completion], reward: RewardConfig, simulator: Simulator
) -> tuple[Rollout, ...]:
    """Carry out every completion's action; equal actions are simulated once.

    Raises:
        SimulationError: PyBullet gave values that are not finite.
    """
    task = TASKS[scene.task]
    outcomes: dict[Action, Outcome] = {}
    rollouts = []
    for completion in completions:
        action = task.parse(completion.text)
        if action not in outcomes:
            outcomes[action] = task.act(scene, action, simulator)
        outcome = outcomes[action]
        earned = score(scene, action, outcome, reward)
        rollouts.append(Rollout(completion, action, outcome, earned))
    return tuple(rollouts)
