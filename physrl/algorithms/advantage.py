"""How much better each completion was than its group.

Arrays are groups x group_size unless said otherwise.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Rewards = NDArray[np.float64]
Baseline = Literal["group", "leave_one_out"]
Scale = Literal["group", "batch", "none"]
EPSILON = 1e-4
NO_SPREAD = 1e-8
"""Rewards or advantages whose standard deviation is smaller are all equal."""


def advantages(rewards: Rewards, baseline: Baseline, scale: Scale) -> Rewards:
    """A = (r - baseline) / scale, each one of the named functions below.

    Shao et al. 2024, equation 4, with TRL's sample standard deviation and epsilon.
    """
    result: Rewards = (rewards - BASELINES[baseline](rewards)) / SCALES[scale](rewards)
    return result


def decoupled_advantages(parts: Mapping[str, Rewards], weights: Mapping[str, float]) -> Rewards:
    """Each part of the reward normalized in its group, then their weighted sum over the batch.

    GDPO (arXiv 2601.05242): a part with small differences counts as much as one with large ones.

    Args:
        weights: of the parts; 1 where a part is not named.
    """
    total = sum(
        weights.get(name, 1.0) * advantages(values, "group", "group")
        for name, values in parts.items()
    )
    summed = np.asarray(total, np.float64)
    result: Rewards = (summed - summed.mean()) / batch_deviation(summed)
    return result


def informative(values: Rewards) -> NDArray[np.bool_]:
    """Which groups have rewards, or advantages, that differ."""
    return spread(values) > NO_SPREAD


def spread(rewards: Rewards) -> NDArray[np.float64]:
    """The sample standard deviation of each group."""
    deviation: NDArray[np.float64] = rewards.std(axis=1, ddof=1)
    return deviation


def group_mean(rewards: Rewards) -> Rewards:
    """Groups x 1."""
    mean: Rewards = rewards.mean(axis=1, keepdims=True)
    return mean


def mean_of_others(rewards: Rewards) -> Rewards:
    """The mean of the group's other rewards: RLOO (Ahmadian et al. 2024, arXiv 2402.14740)."""
    others: Rewards = (rewards.sum(axis=1, keepdims=True) - rewards) / (rewards.shape[1] - 1)
    return others


def group_deviation(rewards: Rewards) -> Rewards:
    """Groups x 1."""
    return spread(rewards)[:, None] + EPSILON


def batch_deviation(rewards: Rewards) -> Rewards:
    """1 x 1: of all rewards of the batch (Liu et al. 2025, arXiv 2508.08221)."""
    deviation: Rewards = rewards.std(ddof=1, keepdims=True) + EPSILON
    return deviation


def unscaled(rewards: Rewards) -> Rewards:
    """1 x 1: 1."""
    return np.ones((1, 1))


BASELINES = {"group": group_mean, "leave_one_out": mean_of_others}
SCALES = {"group": group_deviation, "batch": batch_deviation, "none": unscaled}
