"""Losses by the `type` of their configuration."""

from collections.abc import Callable
from typing import Any

from physrl.algorithms.loss import Loss
from physrl.config.algorithm import ALGORITHMS, AlgorithmConfig


def make_loss(config: AlgorithmConfig) -> Loss:
    """Return the loss of an algorithm.

    Raises:
        PluginError: its module cannot be imported.
    """
    factory: Callable[[Any], Loss] = ALGORITHMS.function(config.type)
    return factory(config)
