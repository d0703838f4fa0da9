"""Training batches, advantages and metrics of rollouts and demonstrations."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from physrl.algorithms.batch import (
    demonstration_batch,
    informative_groups,
    rollout_advantages,
    rollout_batch,
    rollout_metrics,
)
from physrl.config.algorithm import GRPOConfig
from physrl.data.collate import Collator
from physrl.models.processor import load_processor
from physrl.training_records import Demonstration
from physrl.types import Prompt, Reward, RolloutGroup
from tests.support.groups import complete, group_of, record_of
from tests.support.paths import TINY_BASE


def test_rollout_metrics_by_hand() -> None:
    metrics = rollout_metrics([group_of([1.0, 0.0]), group_of([1.0, 1.0], truncated=True)])
    assert metrics["reward"] == 0.75
    assert metrics["reward_std"] == pytest.approx(0.5)  # of 1, 0, 1, 1
    assert metrics["frac_reward_zero_std"] == 0.5
    assert metrics["completions/clipped_ratio"] == 0.5
    assert metrics["parse/failure_rate"] == 0.25
    assert metrics["task/place/accuracy"] == 0.75
    assert metrics["rewards/success/mean"] == 0.75


def test_batches_keep_the_order_of_groups() -> None:
    groups = [record_of([1.0, 0.0]), record_of([0.0, 1.0])]
    batch = rollout_batch(groups, np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert [example.advantage for example in batch.examples] == [1, 2, 3, 4]
    assert batch.examples[0].sampling_logprobs == (-0.5, -0.5)
    assert not batch.examples[0].truncated
    cut = rollout_batch([record_of([1.0, 0.0], truncated=True)], np.array([[1.0, 2.0]]))
    assert all(example.truncated for example in cut.examples)


def advantages_of(groups: list[RolloutGroup], **table: Any) -> list[list[float]]:
    result = rollout_advantages(list(map(complete, groups)), GRPOConfig(**table), max_length=4)
    return [[round(value, 3) for value in row] for row in result.tolist()]


def test_overlong_completions_lose_reward_before_advantages() -> None:
    even = record_of([1.0, 1.0])
    first, second = even.rollouts
    completion = replace(second.last.completion, token_ids=(1, 2, 3))
    longer = replace(second, attempts=(replace(second.last, completion=completion),))
    groups = [replace(even, rollouts=(first, longer))]
    assert advantages_of(groups, scale_rewards="none") == [[0.0, 0.0]]
    # 3 of at most 4 tokens with a cache of 2: half of the penalty of 0.5.
    shaped = {"scale_rewards": "none", "overlong_cache": 2, "overlong_penalty": 0.5}
    assert advantages_of(groups, **shaped) == [[0.125, -0.125]]
    plain, with_shape = GRPOConfig(), GRPOConfig(**shaped)
    assert informative_groups(list(map(complete, groups)), plain, 4).tolist() == [False]
    assert informative_groups(list(map(complete, groups)), with_shape, 4).tolist() == [True]


def test_parts_are_normalized_before_they_are_summed() -> None:
    table = {"scale_rewards": "batch", "multi_objective_aggregation": "normalize_then_sum"}
    groups = [record_of([1.0, 0.0])]
    assert advantages_of(groups, **table) == [[0.707, -0.707]]
    assert advantages_of(groups, **table, reward_weights={"success": 0.0}) == [[0.0, 0.0]]


def test_groups_are_informative_where_weighted_parts_differ() -> None:
    even = record_of([1.0, 1.0])
    parts = ({"success": 1.0, "height": 0.0}, {"success": 0.0, "height": 1.0})
    both = tuple(
        replace(r, reward=Reward(1.0, p)) for r, p in zip(even.rollouts, parts, strict=True)
    )
    groups = [replace(even, rollouts=both), even]
    plain = GRPOConfig()
    assert informative_groups(list(map(complete, groups)), plain, 4).tolist() == [
        False,
        False,
    ]  # totals are all 1
    table = {"scale_rewards": "batch", "multi_objective_aggregation": "normalize_then_sum"}
    weighed = GRPOConfig(**table, reward_weights={"height": 3.0})
    assert informative_groups(list(map(complete, groups)), weighed, 4).tolist() == [True, False]
    ignored = {"height": 0.0, "success": 0.0}
    without = GRPOConfig(**table, reward_weights=ignored)
    assert informative_groups(list(map(complete, groups)), without, 4).tolist() == [False, False]


def test_demonstrations_end_with_the_end_of_turn() -> None:
    collator = Collator(load_processor(str(TINY_BASE)))
    prompt = Prompt.ask("p", "How many?", np.zeros((84, 84, 3), np.uint8))
    batch = demonstration_batch([Demonstration(prompt, "<answer>3</answer>")], collator)
    assert batch.examples[0].completion_ids[-1] == collator.eos_token_id
    assert len(batch.examples[0].completion_ids) == 4  # <answer>, 3, </answer>, end of turn
