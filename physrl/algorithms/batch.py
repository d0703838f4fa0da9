"""From rollouts or demonstrations to what the learner trains on, and what to say about them."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from physrl.types import (
    Demonstration,
    Metrics,
    RolloutGroup,
    TrainingBatch,
    TrainingExample,
    Unparseable,
)


class Tokenizes(Protocol):
    """What turns a target into token ids; a `Collator` does."""

    def completion_ids(self, text: str) -> tuple[int, ...]: ...


def group_rewards(groups: Sequence[RolloutGroup]) -> NDArray[np.float64]:
    """Total rewards, groups x group_size."""
    return np.array([[rollout.reward.total for rollout in group.rollouts] for group in groups])


def rollout_batch(groups: Sequence[RolloutGroup], advantages: NDArray[np.float64]) -> TrainingBatch:
    """One example an attempt, with its rollout's advantage; advantages are groups x group_size."""
    return TrainingBatch(
        tuple(
            TrainingExample(
                prompt=attempt.prompt,
                completion_ids=attempt.completion.token_ids,
                advantage=float(advantage),
                sampling_logprobs=attempt.completion.logprobs,
            )
            for group, row in zip(groups, advantages, strict=True)
            for rollout, advantage in zip(group.rollouts, row, strict=True)
            for attempt in rollout.attempts
        )
    )


def demonstration_batch(
    demonstrations: Sequence[Demonstration], tokenizer: Tokenizes
) -> TrainingBatch:
    """One example a demonstration."""
    return TrainingBatch(
        tuple(
            TrainingExample(one.prompt, tokenizer.completion_ids(one.target))
            for one in demonstrations
        )
    )


def rollout_metrics(groups: Sequence[RolloutGroup]) -> Metrics:
    """Reward, success, answer and length statistics of a rollout batch, under TRL's names."""
    rewards = group_rewards(groups)
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    attempts = [attempt for group in groups for attempt in group.attempts]
    lengths = np.array([len(attempt.completion.token_ids) for attempt in attempts])
    spread = rewards.std(axis=1, ddof=1) if rewards.shape[1] > 1 else np.zeros(len(rewards))
    metrics = {
        "reward": float(rewards.mean()),
        "reward_std": float(spread.mean()),
        "frac_reward_zero_std": float((spread < 1e-9).mean()),
        "completions/mean_length": float(lengths.mean()),
        "completions/max_length": float(lengths.max()),
        "completions/clipped_ratio": _mean(a.completion.truncated for a in attempts),
        "parse/failure_rate": _mean(isinstance(a.action, Unparseable) for a in attempts),
        "illegal_rate": _mean(a.outcome.status == "illegal" for a in attempts),
        "attempts/mean": len(attempts) / len(rollouts),
    }
    for task in sorted({group.scene.task for group in groups}):
        right = [r.last.outcome.success for g in groups if g.scene.task == task for r in g.rollouts]
        metrics[f"task/{task}/accuracy"] = _mean(right)
    for part in rollouts[0].reward.parts:
        metrics[f"rewards/{part}/mean"] = _mean(r.reward.parts.get(part, 0.0) for r in rollouts)
    return metrics


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
