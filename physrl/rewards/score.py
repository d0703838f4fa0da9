"""The configured reward of one action."""

from collections.abc import Sequence

from physrl.config.reward import PaperRewardConfig, RewardConfig
from physrl.rewards.paper import paper_reward
from physrl.rewards.simulated import simulated_reward
from physrl.types import Attempt, Reward, SceneSpec


def score(scene: SceneSpec, attempts: Sequence[Attempt], config: RewardConfig) -> Reward:
    """A finite, bounded reward of the last attempt; the text counts only through its action."""
    last = attempts[-1]
    if isinstance(config, PaperRewardConfig):
        return paper_reward(scene, last.action, last.outcome)
    return simulated_reward(last.outcome, config)
