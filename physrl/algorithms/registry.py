"""The losses by the type of their configuration."""

from collections.abc import Callable
from typing import Any

from physrl.algorithms.bnpo import bnpo_loss
from physrl.algorithms.cispo import cispo_loss
from physrl.algorithms.dapo import dapo_loss
from physrl.algorithms.dr_grpo import dr_grpo_loss
from physrl.algorithms.grpo import grpo_loss
from physrl.algorithms.gspo import gspo_loss
from physrl.algorithms.loss import Loss
from physrl.algorithms.sft import sft_loss
from physrl.config.algorithm import AlgorithmConfig

LOSSES: dict[str, Callable[[Any], Loss]] = {
    "grpo": grpo_loss,
    "bnpo": bnpo_loss,
    "dr_grpo": dr_grpo_loss,
    "dapo": dapo_loss,
    "cispo": cispo_loss,
    "gspo": gspo_loss,
    "sft": sft_loss,
}


def make_loss(config: AlgorithmConfig) -> Loss:
    """The loss of an algorithm."""
    return LOSSES[config.type](config)
