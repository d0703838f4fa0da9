"""The configured loss."""

from physrl.algorithms.grpo import GRPOLoss
from physrl.algorithms.gspo import GSPOLoss
from physrl.algorithms.loss import Loss
from physrl.algorithms.sft import SFTLoss
from physrl.config.algorithm import AlgorithmConfig, GRPOConfig, SFTConfig


def make_loss(config: AlgorithmConfig) -> Loss:
    """The loss of an algorithm."""
    if isinstance(config, SFTConfig):
        return SFTLoss()
    loss = GRPOLoss if isinstance(config, GRPOConfig) else GSPOLoss
    return loss(config.clip_low, config.clip_high, config.beta)
