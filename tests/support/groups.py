"""Rollout groups that are made by hand."""

from collections.abc import Sequence

from physrl.config.reward import RewardConfig, SimulatedRewardConfig
from physrl.environments.renderer import Renderer
from physrl.environments.simulator import Simulator
from physrl.groups import Group, GroupState, local_group
from physrl.scene_source import SceneSource, prepare
from physrl.turns import carry_out
from physrl.types import Completion, Generation, RolloutGroup


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
