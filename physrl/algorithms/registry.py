"""The losses by the type of their configuration."""

from collections.abc import Callable
from typing import Any

from physrl.algorithms.grpo import GRPOLoss
from physrl.algorithms.gspo import GSPOLoss
from physrl.algorithms.loss import Loss
from physrl.algorithms.sft import SFTLoss
from physrl.config.algorithm import AlgorithmConfig

LOSSES: dict[str, Callable[[Any], Loss]] = {
    "grpo": lambda config: GRPOLoss(config.clip_low, config.clip_high, config.beta),
    "gspo": lambda config: GSPOLoss(config.clip_low, config.clip_high, config.beta),
    "sft": lambda config: SFTLoss(),
}


def make_loss(config: AlgorithmConfig) -> Loss:
    """The loss of an algorithm."""
    return LOSSES[config.type](config)
