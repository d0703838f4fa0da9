"""The learner's update on the tiny base: denominators, parts, schedule."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from physrl.algorithms.batch import (
    demonstration_batch,
    informative_groups,
    rollout_advantages,
    rollout_batch,
    rollout_metrics,
)
from physrl.algorithms.update import Learner, learning_rate
from physrl.config.environment import EnvironmentConfig
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.data.collate import Collator
from physrl.errors import GenerationError
from physrl.models.engine import TorchEngine
from physrl.models.loading import load_model
from physrl.models.logprobs import completion_logprobs
from physrl.models.processor import load_processor
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import (
    Attempt,
    Completion,
    Demonstration,
    Metrics,
    Offset,
    Outcome,
    Prompt,
    Reward,
    Rollout,
    RolloutGroup,
    TrainingBatch,
    TrainingExample,
    Unparseable,
)
from tests.support.groups import complete
from tests.support.paths import TINY_BASE


def make_config(algorithm: dict[str, object], **others: object) -> RunConfig:
    table = {"lr": 1e-3, "max_grad_norm": 1.0} | algorithm
    return validate({"model": {"path": str(TINY_BASE)}, "algorithm": table} | others)


def make_batch() -> TrainingBatch:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 84, 84, 3), dtype=np.uint8)
    prompts = [Prompt.ask(str(place), "How many?", images[place]) for place in range(2)]
    return TrainingBatch(
        tuple(
            TrainingExample(
                prompts[row // 4],
                tuple(rng.integers(20, 90, size=2 + row).tolist()),
                advantage=float(rng.normal()),
                sampling_logprobs=(-4.0,) * (2 + row),
            )
            for row in range(8)
        )
    )


def demonstrations() -> TrainingBatch:
    examples = make_batch().examples
    return TrainingBatch(tuple(replace(each, sampling_logprobs=()) for each in examples))


def train(config: RunConfig, batch: TrainingBatch) -> tuple[Metrics, torch.nn.Module]:
    model = load_model(config.model)
    collator = Collator(load_processor(config.model.path))
    learner = Learner(TorchEngine(model, config.algorithm), collator, config)
    return learner.update(batch, 0), model


ALGORITHMS = [
    {"type": "grpo", "importance_sampling_mode": "token_truncate"},
    {"type": "gspo", "importance_sampling_mode": "sequence_truncate"},
    {"type": "dr_grpo", "entropy_coef": 0.1, "importance_sampling_mode": "none"},
    {"type": "dapo", "importance_sampling_mode": "none"},
    {"type": "sft"},
]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_micro_batches_change_nothing(algorithm: dict[str, object]) -> None:
    batch = demonstrations() if algorithm["type"] == "sft" else make_batch()
    whole, model = train(make_config(algorithm), batch)
    small = {"tokens_per_micro_batch": 64}
    parts, other = train(make_config(algorithm, runtime=small), batch)
    assert parts == pytest.approx(whole, rel=1e-4, abs=1e-6)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], weight, atol=1e-5, rtol=0)


def test_the_sampler_is_corrected_for_and_its_difference_reported() -> None:
    # A sampler that claims its tokens were most unlikely: each would be weighed up without bound.
    batch = TrainingBatch(
        tuple(
            replace(each, sampling_logprobs=(-60.0,) * len(each.completion_ids))
            for each in make_batch().examples
        )
    )
    table = {"importance_sampling_mode": "token_truncate", "importance_sampling_max": 1.0}
    metrics, _ = train(make_config(table), batch)
    free, _ = train(make_config(table | {"importance_sampling_max": 1e9}), batch)
    assert metrics["sampling/sampling_logp_difference/max"] > 0
    assert metrics["sampling/importance_sampling_ratio/mean"] == pytest.approx(1.0)
    assert free["sampling/importance_sampling_ratio/max"] > 1e3
    assert abs(free["loss"]) > abs(metrics["loss"])
    masked, _ = train(make_config({}), batch)  # whole sequences are left out by default
    assert masked["loss"] == 0
    assert masked["grad_norm"] == 0


def test_truncated_completions_may_be_left_out() -> None:
    examples = make_batch().examples
    cut = replace(examples[-1], truncated=True)
    batch = TrainingBatch((*examples[:-1], cut))
    table = {"type": "dapo", "importance_sampling_mode": "none"}
    metrics, _ = train(make_config(table | {"mask_truncated": True}), batch)
    # Denominators count the other tokens alone: as if the completion had not been there.
    without = TrainingBatch(examples[:-1])
    expected, _ = train(make_config(table), without)
    for name in ("loss", "entropy", "grad_norm"):
        assert metrics[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-7), name
    kept, _ = train(make_config(table), batch)
    assert kept["loss"] != pytest.approx(metrics["loss"], rel=1e-3)


def test_an_entropy_bonus_reaches_the_weights() -> None:
    batch = TrainingBatch(tuple(replace(each, advantage=0.0) for each in make_batch().examples))
    metrics, _ = train(make_config({"entropy_coef": 0.1}), batch)
    assert metrics["loss"] == pytest.approx(-0.1 * metrics["entropy"])
    assert metrics["grad_norm"] > 1e-3


def test_a_kl_term_pulls_towards_the_base() -> None:
    config = make_config({"beta": 0.1}, model={"path": str(TINY_BASE), "lora": {"rank": 4}})
    torch.manual_seed(0)
    model = load_model(config.model)
    collator = Collator(load_processor(config.model.path))
    learner = Learner(TorchEngine(model, config.algorithm), collator, config)
    adapted = [weight for name, weight in model.named_parameters() if "lora_B" in name]
    for weight in adapted:  # a fresh adapter changes nothing
        torch.nn.init.normal_(weight, std=0.02)
    examples = [replace(each, advantage=0.0) for each in make_batch().examples]
    ours = learner.score(examples)
    with model.disable_adapter():
        base = learner.score(examples)
    differences = [
        b - o for rows in zip(base, ours, strict=True) for b, o in zip(*rows, strict=True)
    ]
    expected = np.mean([np.expm1(d) - d for d in differences])
    metrics = learner.update(TrainingBatch(tuple(examples)), 0)
    assert metrics["kl"] == pytest.approx(expected, rel=1e-3)
    assert metrics["kl"] > 1e-4
    assert metrics["loss"] > 0
    assert metrics["grad_norm"] > 0


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        # Together the longest prompt and the longest completion, of 9 tokens, would fit.
        (
            {"max_prompt_tokens": 16, "max_completion_tokens": 500},
            r"a prompt of \d\d tokens exceeds model\.max_prompt_tokens = 16",
        ),
        (
            {"max_prompt_tokens": 500, "max_completion_tokens": 8},
            r"a completion of 9 tokens exceeds model\.max_completion_tokens = 8",
        ),
    ],
)
def test_what_does_not_fit_is_refused(limits: dict[str, int], message: str) -> None:
    with pytest.raises(GenerationError, match=message):
        train(make_config({}, model={"path": str(TINY_BASE)} | limits), make_batch())


def test_imitation_does_not_look_at_the_temperature() -> None:
    plain, _ = train(make_config({"type": "sft"}), demonstrations())
    hot, _ = train(make_config({"type": "sft"}, temperature=2.0), demonstrations())
    assert hot == plain
    others = {"importance_sampling_mode": "none", "entropy_coef": 0.1}
    cold, _ = train(make_config(others), demonstrations())
    assert train(make_config(others, temperature=2.0), demonstrations())[0] != cold


@pytest.mark.parametrize(("name", "passes"), [("sft", 2), ("grpo", 4)])
def test_imitation_scores_nothing_twice(
    name: str, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return completion_logprobs(*arguments)

    monkeypatch.setattr("physrl.algorithms.update.completion_logprobs", counted)
    train(make_config({"type": name, "updates_per_rollout": 2}), demonstrations())
    assert len(calls) == passes  # one a micro-batch and update; reinforcement scores the old ones


def test_learning_rate_warms_up_and_decays() -> None:
    config = make_config({"steps": 10, "warmup_fraction": 0.2, "lr": 1.0, "decay": "linear"})
    rates = [learning_rate(config.algorithm, update) for update in range(10)]
    # Two updates of warm-up, then a line from 1 to 0 over the other eight.
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert rates[3:] == pytest.approx([1 - k / 8 for k in range(1, 8)])
    cosine = make_config({"steps": 10, "warmup_fraction": 0.0, "lr": 1.0})
    assert learning_rate(cosine.algorithm, 5) == pytest.approx(0.5)
    assert learning_rate(cosine.algorithm, 10) == pytest.approx(0.0)


def group_of(rewards: list[float], truncated: bool = False) -> RolloutGroup:
    scene = make_scene(TASKS["place"], EnvironmentConfig(), 0, "train", 0)
    prompt = Prompt.ask("p", "?", np.zeros((1, 1, 3), np.uint8))
    rollouts = tuple(
        Rollout(
            (
                Attempt(
                    prompt,
                    (),
                    Completion("", (1, 2), (-0.5, -0.5), truncated, 0),
                    Offset(0, 0) if reward > 0 else Unparseable("words"),
                    Outcome("settled" if reward > 0 else "unparseable", success=reward > 0),
                ),
            ),
            Reward(reward, {"success": reward}),
        )
        for reward in rewards
    )
    return RolloutGroup(scene, prompt, rollouts)


def test_rollout_metrics_by_hand() -> None:
    groups = [group_of([1.0, 0.0]), group_of([1.0, 1.0], truncated=True)]
    metrics = rollout_metrics(list(map(complete, groups)))
    assert metrics["reward"] == 0.75
    assert metrics["reward_std"] == pytest.approx(0.5)  # of 1, 0, 1, 1
    assert metrics["frac_reward_zero_std"] == 0.5
    assert metrics["completions/clipped_ratio"] == 0.5
    assert metrics["parse/failure_rate"] == 0.25
    assert metrics["task/place/accuracy"] == 0.75
    assert metrics["rewards/success/mean"] == 0.75


def test_batches_keep_the_order_of_groups() -> None:
    groups = [group_of([1.0, 0.0]), group_of([0.0, 1.0])]
    batch = rollout_batch(groups, np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert [example.advantage for example in batch.examples] == [1, 2, 3, 4]
    assert batch.examples[0].sampling_logprobs == (-0.5, -0.5)
    assert not batch.examples[0].truncated
    cut = rollout_batch([group_of([1.0, 0.0], truncated=True)], np.array([[1.0, 2.0]]))
    assert all(example.truncated for example in cut.examples)


def advantages_of(groups: list[RolloutGroup], **table: object) -> list[list[float]]:
    result = rollout_advantages(
        list(map(complete, groups)), make_config(table).algorithm, max_length=4
    )
    return [[round(value, 3) for value in row] for row in result.tolist()]


def test_overlong_completions_lose_reward_before_advantages() -> None:
    even = group_of([1.0, 1.0])
    first, second = even.rollouts
    completion = replace(second.last.completion, token_ids=(1, 2, 3))
    longer = replace(second, attempts=(replace(second.last, completion=completion),))
    groups = [replace(even, rollouts=(first, longer))]
    assert advantages_of(groups, scale_rewards="none") == [[0.0, 0.0]]
    # 3 of at most 4 tokens with a cache of 2: half of the penalty of 0.5.
    shaped = {"scale_rewards": "none", "overlong_cache": 2, "overlong_penalty": 0.5}
    assert advantages_of(groups, **shaped) == [[0.125, -0.125]]
    plain, with_shape = make_config({}).algorithm, make_config(shaped).algorithm
    assert informative_groups(list(map(complete, groups)), plain, 4).tolist() == [False]
    assert informative_groups(list(map(complete, groups)), with_shape, 4).tolist() == [True]


def test_parts_are_normalized_before_their_sum() -> None:
    table = {"scale_rewards": "batch", "multi_objective_aggregation": "normalize_then_sum"}
    groups = [group_of([1.0, 0.0])]
    assert advantages_of(groups, **table) == [[0.707, -0.707]]
    assert advantages_of(groups, **table, reward_weights={"success": 0.0}) == [[0.0, 0.0]]


def test_groups_teach_where_the_parts_that_count_differ() -> None:
    even = group_of([1.0, 1.0])
    parts = ({"success": 1.0, "height": 0.0}, {"success": 0.0, "height": 1.0})
    both = tuple(
        replace(r, reward=Reward(1.0, p)) for r, p in zip(even.rollouts, parts, strict=True)
    )
    groups = [replace(even, rollouts=both), even]
    plain = make_config({}).algorithm
    assert informative_groups(list(map(complete, groups)), plain, 4).tolist() == [
        False,
        False,
    ]  # totals are all 1
    table = {"scale_rewards": "batch", "multi_objective_aggregation": "normalize_then_sum"}
    weighed = make_config(table | {"reward_weights": {"height": 3.0}}).algorithm
    assert informative_groups(list(map(complete, groups)), weighed, 4).tolist() == [True, False]
    ignored = {"height": 0.0, "success": 0.0}
    without = make_config(table | {"reward_weights": ignored}).algorithm
    assert informative_groups(list(map(complete, groups)), without, 4).tolist() == [False, False]


def test_demonstrations_end_with_the_end_of_turn() -> None:
    collator = Collator(load_processor(str(TINY_BASE)))
    prompt = Prompt.ask("p", "How many?", np.zeros((84, 84, 3), np.uint8))
    batch = demonstration_batch([Demonstration(prompt, "<answer>3</answer>")], collator)
    assert batch.examples[0].completion_ids[-1] == collator.eos_token_id
    assert len(batch.examples[0].completion_ids) == 4  # <answer>, 3, </answer>, end of turn
