"""The learner's update of the tiny base: denominators, masks, corrections, limits."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from physrl.algorithms.update import Learner
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.data.collate import Collator
from physrl.errors import GenerationError
from physrl.models.engine import TorchEngine
from physrl.models.loading import load_model
from physrl.models.logprobs import completion_logprobs
from physrl.models.processor import load_processor
from physrl.training_records import TrainingBatch
from physrl.types import Metrics
from tests.support.paths import TINY_BASE
from tests.support.training_batches import make_batch


def make_config(algorithm: dict[str, object], **others: object) -> RunConfig:
    table = {"lr": 1e-3, "max_grad_norm": 1.0} | algorithm
    return validate({"model": {"path": str(TINY_BASE)}, "algorithm": table} | others)


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
    {"type": "rejection"},
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


def test_truncated_completions_can_be_masked() -> None:
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
            r"model\.max_prompt_tokens = 16",
        ),
        (
            {"max_prompt_tokens": 500, "max_completion_tokens": 8},
            r"9 tokens .*model\.max_completion_tokens = 8",
        ),
    ],
)
def test_too_long_prompts_and_completions_are_refused(limits: dict[str, int], message: str) -> None:
    with pytest.raises(GenerationError, match=message):
        train(make_config({}, model={"path": str(TINY_BASE)} | limits), make_batch())


def test_sft_ignores_the_temperature() -> None:
    plain, _ = train(make_config({"type": "sft"}), demonstrations())
    hot, _ = train(make_config({"type": "sft"}, temperature=2.0), demonstrations())
    assert hot == plain
    others = {"importance_sampling_mode": "none", "entropy_coef": 0.1}
    cold, _ = train(make_config(others), demonstrations())
    assert train(make_config(others, temperature=2.0), demonstrations())[0] != cold


@pytest.mark.parametrize(("name", "passes"), [("sft", 2), ("grpo", 4)])
def test_sft_scores_each_example_once(
    name: str, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return completion_logprobs(*arguments)

    monkeypatch.setattr("physrl.algorithms.update.completion_logprobs", counted)
    train(make_config({"type": name, "updates_per_rollout": 2}), demonstrations())
    assert len(calls) == passes  # one per update; a policy gradient scores the old policy too
