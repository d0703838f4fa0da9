"""The configured reward of one action."""

from physrl.config.reward import PaperRewardConfig, RewardConfig
from physrl.rewards.paper import paper_reward
from physrl.rewards.simulated import simulated_reward
from physrl.types import Action, Outcome, Reward, SceneSpec


def score(scene: SceneSpec, action: Action, outcome: Outcome, config: RewardConfig) -> Reward:
    """A finite, bounded reward; the model's text counts only through the parsed action."""
    if isinstance(config, PaperRewardConfig):
        return paper_reward(scene, action, outcome)
    return simulated_reward(outcome, config)
