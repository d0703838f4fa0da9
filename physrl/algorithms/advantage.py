"""Advantages of completions over their group.

Arrays are groups x group_size unless noted otherwise.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Rewards = NDArray[np.float64]
Baseline = Literal["group", "leave_one_out"]
Scale = Literal["group", "batch", "none"]
EPSILON = 1e-4
MIN_STD = 1e-8
"""Standard deviation up to which rewards or advantages count as equal."""


def advantages(rewards: Rewards, baseline: Baseline, scale: Scale) -> Rewards:
    """Compute A = (r - baseline) / scale with the named baseline and scale.

    Shao et al. 2024, equation 4, with TRL's sample standard deviation and epsilon.
    """
    result: Rewards = (rewards - BASELINES[baseline](rewards)) / SCALES[scale](rewards)
    return result


def decoupled_advantages(parts: Mapping[str, Rewards], weights: Mapping[str, float]) -> Rewards:
    """Normalize each reward part in its group, then the weighted sum over the batch.

    GDPO (arXiv 2601.05242): a part with small differences counts as much as one with large ones.

    Args:
        weights: weights of the parts by name; 1 for a part that is missing.
    """
    total = sum(
        weights.get(name, 1.0) * advantages(values, "group", "group")
        for name, values in parts.items()
    )
    summed = np.asarray(total, np.float64)
    result: Rewards = (summed - summed.mean()) / batch_std(summed)
    return result


def informative(values: Rewards) -> NDArray[np.bool_]:
    """Mark the groups whose rewards, or advantages, differ."""
    return reward_std(values) > MIN_STD


def reward_std(rewards: Rewards) -> NDArray[np.float64]:
    """Compute the sample standard deviation of each group: groups."""
    deviation: NDArray[np.float64] = rewards.std(axis=1, ddof=1)
    return deviation


def group_mean(rewards: Rewards) -> Rewards:
    """Compute each group's mean: groups x 1."""
    mean: Rewards = rewards.mean(axis=1, keepdims=True)
    return mean


def leave_one_out_mean(rewards: Rewards) -> Rewards:
    """Compute the mean of the group's other rewards (RLOO: Ahmadian et al. 2024, 2402.14740)."""
    others: Rewards = (rewards.sum(axis=1, keepdims=True) - rewards) / (rewards.shape[1] - 1)
    return others


def group_std(rewards: Rewards) -> Rewards:
    """Compute each group's standard deviation plus epsilon: groups x 1."""
    return reward_std(rewards)[:, None] + EPSILON


def batch_std(rewards: Rewards) -> Rewards:
    """Compute the batch's standard deviation plus epsilon: 1 x 1 (Liu et al. 2025, 2508.08221)."""
    deviation: Rewards = rewards.std(ddof=1, keepdims=True) + EPSILON
    return deviation


def unscaled(rewards: Rewards) -> Rewards:
    """Return 1: 1 x 1."""
    return np.ones((1, 1))


BASELINES = {"group": group_mean, "leave_one_out": leave_one_out_mean}
SCALES = {"group": group_std, "batch": batch_std, "none": unscaled}
