"""From rollouts or demonstrations to what the learner trains on, and what to say about them."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from physrl.algorithms.advantage import (
    Rewards,
    advantages,
    decoupled_advantages,
    informative,
)
from physrl.algorithms.overlong import overlong_punishment
from physrl.config.algorithm import RLConfig
from physrl.types import (
    Demonstration,
    Metrics,
    Rollout,
    RolloutGroup,
    TrainingBatch,
    TrainingExample,
    Unparseable,
)


class Tokenizes(Protocol):
    """What turns a target into token ids; a `Collator` does."""

    def completion_ids(self, text: str) -> tuple[int, ...]: ...


def group_rewards(groups: Sequence[RolloutGroup]) -> Rewards:
    """Total rewards, groups x group_size."""
    return np.array([[rollout.reward.total for rollout in group.rollouts] for group in groups])


def overlong_losses(
    groups: Sequence[RolloutGroup], algorithm: RLConfig, max_length: int
) -> Rewards:
    """What each rollout loses for its longest attempt, at most 0: groups x group_size.

    Args:
        max_length: the longest completion in tokens, `model.max_completion_tokens`.
    """
    lengths = np.array([[_longest(rollout) for rollout in group.rollouts] for group in groups])
    if not algorithm.overlong_cache:
        return np.zeros(lengths.shape)
    punishment = overlong_punishment(lengths, max_length, algorithm.overlong_cache)
    return algorithm.overlong_penalty * punishment


def rollout_advantages(
    groups: Sequence[RolloutGroup], algorithm: RLConfig, max_length: int
) -> Rewards:
    """The advantage of each rollout as the algorithm counts it: groups x group_size."""
    overlong = overlong_losses(groups, algorithm, max_length)
    if algorithm.multi_objective_aggregation == "sum_then_normalize":
        rewards = group_rewards(groups) + overlong
        return advantages(rewards, algorithm.baseline, algorithm.scale_rewards)
    parts = reward_parts(groups) | {"overlong": overlong}
    return decoupled_advantages(parts, algorithm.reward_weights)


def reward_parts(groups: Sequence[RolloutGroup]) -> dict[str, Rewards]:
    """What the rewards are the sum of, each groups x group_size."""
    names = dict.fromkeys(name for g in groups for r in g.rollouts for name in r.reward.parts)
    return {
        name: np.array([[r.reward.parts.get(name, 0.0) for r in g.rollouts] for g in groups])
        for name in names
    }


def informative_groups(
    groups: Sequence[RolloutGroup], algorithm: RLConfig, max_length: int
) -> NDArray[np.bool_]:
    """Which groups have anything to learn from: their rollouts' advantages differ."""
    return informative(rollout_advantages(groups, algorithm, max_length))


def rollout_batch(groups: Sequence[RolloutGroup], advantages: Rewards) -> TrainingBatch:
    """One example an attempt, with its rollout's advantage; advantages are groups x group_size."""
    return TrainingBatch(
        tuple(
            TrainingExample(
                prompt=attempt.prompt,
                completion_ids=attempt.completion.token_ids,
                advantage=float(advantage),
                sampling_logprobs=attempt.completion.logprobs,
                truncated=attempt.completion.truncated,
            )
            for group, row in zip(groups, advantages, strict=True)
            for rollout, advantage in zip(group.rollouts, row, strict=True)
            for attempt in rollout.attempts
        )
    )


def demonstration_batch(
    demonstrations: Sequence[Demonstration], tokenizer: Tokenizes
) -> TrainingBatch:
    """One example a demonstration.

    Second questions come last: of n updates each takes every n-th example, and so both questions
    about its scenes.
    """
    ordered = sorted(demonstrations, key=lambda one: "#" in one.prompt.prompt_id)
    return TrainingBatch(
        tuple(
            TrainingExample(one.prompt, tokenizer.completion_ids(one.target), weight=one.weight)
            for one in ordered
        )
    )


def rollout_metrics(groups: Sequence[RolloutGroup]) -> Metrics:
    """Reward, success, answer and length statistics of a rollout batch, under TRL's names."""
    rewards = group_rewards(groups)
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    attempts = [attempt for group in groups for attempt in group.attempts]
    lengths = np.array([len(attempt.completion.token_ids) for attempt in attempts])
    metrics = {
        "reward": float(rewards.mean()),
        "reward_std": float(rewards.std(ddof=1)),
        "frac_reward_zero_std": float((~informative(rewards)).mean()),
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
    predicted = [attempt for attempt in attempts if attempt.predicted is not None]
    if predicted:
        metrics["outcome/accuracy"] = _mean(a.predicted == a.outcome.motion for a in predicted)
    for part in rollouts[0].reward.parts:
        metrics[f"rewards/{part}/mean"] = _mean(r.reward.parts.get(part, 0.0) for r in rollouts)
    return metrics


def _longest(rollout: Rollout) -> int:
    return max(len(attempt.completion.token_ids) for attempt in rollout.attempts)


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
