"""The learning-rate schedule."""

import math

from physrl.config.algorithm import OptimizationConfig


def learning_rate(config: OptimizationConfig, update: int) -> float:
    """Compute the learning rate of an update, counted from 0: linear warm-up, then the decay."""
    total = config.steps * config.updates_per_rollout
    warmup = config.warmup_fraction * total
    if update < warmup:
        return config.lr * (update + 1) / (warmup + 1)
    progress = min((update - warmup) / max(total - warmup, 1), 1.0)
    factors = {
        "cosine": 0.5 * (1 + math.cos(math.pi * progress)),
        "linear": 1 - progress,
        "constant": 1.0,
    }
    return config.lr * factors[config.decay]
