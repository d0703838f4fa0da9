"""Training batches and metrics from rollouts and demonstrations."""

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
from physrl.groups import Group
from physrl.training_records import Demonstration, TrainingBatch, TrainingExample
from physrl.types import Metrics, RolloutGroup


class Tokenizer(Protocol):
    """An encoder of target completions, such as a `Collator`."""

    def completion_ids(self, text: str) -> tuple[int, ...]: ...


def group_rewards(groups: Sequence[Group]) -> Rewards:
    """Collect total rewards: groups x group_size."""
    return np.array([[rollout.reward.total for rollout in group.rollouts] for group in groups])


def overlong_penalties(groups: Sequence[Group], algorithm: RLConfig, max_length: int) -> Rewards:
    """Compute the penalty, at most 0, of each rollout's longest attempt: groups x group_size.

    Args:
        max_length: `model.max_completion_tokens`.
    """
    lengths = np.array([[rollout.longest for rollout in group.rollouts] for group in groups])
    if not algorithm.overlong_cache:
        return np.zeros(lengths.shape)
    punishment = overlong_punishment(lengths, max_length, algorithm.overlong_cache)
    return algorithm.overlong_penalty * punishment


def rollout_advantages(groups: Sequence[Group], algorithm: RLConfig, max_length: int) -> Rewards:
    """Compute the algorithm's advantage of each rollout: groups x group_size."""
    overlong = overlong_penalties(groups, algorithm, max_length)
    if algorithm.multi_objective_aggregation == "sum_then_normalize":
        rewards = group_rewards(groups) + overlong
        return advantages(rewards, algorithm.baseline, algorithm.scale_rewards)
    parts = reward_parts(groups) | {"overlong": overlong}
    return decoupled_advantages(parts, algorithm.reward_weights)


def reward_parts(groups: Sequence[Group]) -> dict[str, Rewards]:
    """Collect the parts of the rewards by name, each groups x group_size."""
    names = dict.fromkeys(name for g in groups for r in g.rollouts for name in r.reward.parts)
    return {
        name: np.array([[r.reward.parts.get(name, 0.0) for r in g.rollouts] for g in groups])
        for name in names
    }


def informative_groups(
    groups: Sequence[Group], algorithm: RLConfig, max_length: int
) -> NDArray[np.bool_]:
    """Mark the groups that carry a learning signal: their rollouts' advantages differ."""
    return informative(rollout_advantages(groups, algorithm, max_length))


def rollout_batch(records: Sequence[RolloutGroup], advantages: Rewards) -> TrainingBatch:
    """Make an example of every attempt, with the advantage (groups x group_size) of its rollout."""
    return TrainingBatch(
        tuple(
            TrainingExample(
                prompt=attempt.prompt,
                completion_ids=attempt.completion.token_ids,
                advantage=float(advantage),
                sampling_logprobs=attempt.completion.logprobs,
                truncated=attempt.completion.truncated,
            )
            for record, row in zip(records, advantages, strict=True)
            for rollout, advantage in zip(record.rollouts, row, strict=True)
            for attempt in rollout.attempts
        )
    )


def demonstration_batch(
    demonstrations: Sequence[Demonstration], tokenizer: Tokenizer
) -> TrainingBatch:
    """Make an example of every demonstration.

    Auxiliary questions come last: each of n updates takes every n-th example, and so both questions
    about a scene where n divides the number of scenes.
    """
    ordered = sorted(demonstrations, key=lambda one: bool(one.prompt.label))
    return TrainingBatch(
        tuple(
            TrainingExample(one.prompt, tokenizer.completion_ids(one.target), weight=one.weight)
            for one in ordered
        )
    )


def rollout_metrics(groups: Sequence[Group]) -> Metrics:
    """Compute the reward, success, parsing and length metrics of rollouts, under TRL's names."""
    rewards = group_rewards(groups)
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    attempts = [attempt for group in groups for attempt in group.attempts]
    lengths = np.array([attempt.tokens for attempt in attempts])
    metrics = {
        "reward": float(rewards.mean()),
        "reward_std": float(rewards.std(ddof=1)),
        "frac_reward_zero_std": float((~informative(rewards)).mean()),
        "completions/mean_length": float(lengths.mean()),
        "completions/max_length": float(lengths.max()),
        "completions/clipped_ratio": _mean(a.truncated for a in attempts),
        "parse/failure_rate": _mean(a.status == "unparseable" for a in attempts),
        "illegal_rate": _mean(a.status == "illegal" for a in attempts),
        "attempts/mean": len(attempts) / len(rollouts),
    }
    for task in sorted({group.task for group in groups}):
        right = [r.success for g in groups if g.task == task for r in g.rollouts]
        metrics[f"task/{task}/accuracy"] = _mean(right)
    predicted = [a.predicted for a in attempts if a.predicted is not None]
    if predicted:
        metrics["outcome/accuracy"] = _mean(predicted)
    for part in rollouts[0].reward.parts:
        metrics[f"rewards/{part}/mean"] = _mean(r.reward.parts.get(part, 0.0) for r in rollouts)
    return metrics


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
