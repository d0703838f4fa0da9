"""Learner groups of one and two ranks at every ZeRO stage, against plain PyTorch."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import safetensors.torch
import torch

from cluster.learner.group import LearnerGroup
from cluster.runtime.placement import Placement
from physrl.algorithms.metrics import combine
from physrl.algorithms.update import Learner
from physrl.config.run import RunConfig
from physrl.config.runtime import RuntimeConfig
from physrl.data.collate import Collator
from physrl.models.engine import TorchEngine
from physrl.models.loading import load_model
from physrl.models.processor import load_processor
from physrl.storage.checkpoints import Checkpoints
from physrl.training_records import TrainingBatch, TrainingExample
from physrl.types import Metrics, Prompt
from tests.support.runs import make_config

EVERYWHERE = {"rank": 4, "vision": True, "projector": True}
STAGES = (0, 1, 2, 3)
SLOW = pytest.mark.slow
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def groups(reserve: Callable[[RuntimeConfig], Placement]) -> Iterator[dict[int, LearnerGroup]]:
    """Start a group of one rank and a group of two."""
    runtimes = {ranks: RuntimeConfig(learner_ranks=ranks) for ranks in (1, 2)}
    groups = {ranks: LearnerGroup(runtime, reserve(runtime)) for ranks, runtime in runtimes.items()}
    for ranks, group in groups.items():
        group.load(learner_config(ranks), None)  # waits for its start
    yield groups
    for group in groups.values():
        group.stop()


def learner_config(ranks: int = 1, stage: int = 0, lora: bool = False, **model: Any) -> RunConfig:
    return make_config(
        model={"lora": EVERYWHERE if lora else None} | model,
        algorithm={
            "steps": 4,
            "decay": "constant",
            "importance_sampling_mode": "token_truncate",  # the made-up sampler is far off
        },
        runtime={
            "learner_ranks": ranks,
            "zero_stage": stage,
            "tokens_per_micro_batch": 128,  # several micro-batches on each rank
        },
    )


def make_batch(counts: Sequence[int] = (1,) * 8) -> TrainingBatch:
    """Make eight random completions of different lengths, for prompts with so many images."""
    rng = np.random.default_rng(0)
    examples = []
    for row, count in enumerate(counts):
        images = rng.integers(0, 256, (count, 84, 84, 3), dtype=np.uint8)
        examples.append(
            TrainingExample(
                Prompt.ask(str(row), "Where is the red block?", *images),
                tuple(rng.integers(20, 90, size=3 + row).tolist()),
                advantage=float(rng.normal()),
                sampling_logprobs=(-3.0,) * (3 + row),
            )
        )
    return TrainingBatch(tuple(examples))


def spoiled(batch: TrainingBatch) -> TrainingBatch:
    """Make the loss of one row, on one rank, NaN."""
    first, *others = batch.examples
    return TrainingBatch((replace(first, advantage=math.nan), *others))


def train(
    group: LearnerGroup, config: RunConfig, batches: Sequence[TrainingBatch]
) -> tuple[list[Metrics], Weights, list[list[float]]]:
    """Return the metrics of each update, and the weights and log-probabilities after the last."""
    group.load(config, None)
    metrics = [group.update(step, [ray.put(batch)]) for step, batch in enumerate(batches)]
    weights = read_weights(group, config)
    return metrics, weights, group.logprobs(batches[0].examples[:2])


def read_weights(group: LearnerGroup, config: RunConfig) -> Weights:
    """Read all weights, or those of an adapter by their names in a PEFT model."""
    found = ray.get(group.weights())
    if config.model.lora is None:
        return dict(found)
    saved = safetensors.torch.load(found["adapter_model.safetensors"])
    return {
        name.replace("lora_A.weight", "lora_A.default.weight").replace(
            "lora_B.weight", "lora_B.default.weight"
        ): weight
        for name, weight in saved.items()
    }


def train_plainly(
    config: RunConfig, batches: Sequence[TrainingBatch]
) -> tuple[list[Metrics], Weights, list[list[float]]]:
    """Do what `train` does in this process without DeepSpeed."""
    torch.manual_seed(config.seed)
    model = load_model(config.model)
    collator = Collator(load_processor(config.model.path))
    learner = Learner(TorchEngine(model, config.algorithm), collator, config)
    metrics = [learner.update(batch, step) for step, batch in enumerate(batches)]
    state = model.state_dict().items()
    weights = {name: w for name, w in state if config.model.lora is None or "lora_" in name}
    return metrics, weights, learner.score(batches[0].examples[:2])


def assert_equal(
    found: tuple[list[Metrics], Weights, list[list[float]]],
    expected: tuple[list[Metrics], Weights, list[list[float]]],
) -> None:
    for each, plain in zip(found[0], expected[0], strict=True):
        assert each == pytest.approx(plain, rel=1e-4, abs=1e-5, nan_ok=True)
    # Adam divides by a gradient's size, so that rounding shows most where gradients are smallest;
    # an update moves a weight by up to 1e-3 here.
    assert found[1].keys() == expected[1].keys()
    for name, weight in expected[1].items():
        torch.testing.assert_close(found[1][name], weight, atol=1e-4, rtol=0)
        assert (found[1][name] - weight).abs().mean() < 1e-6, name
    for row, plain_row in zip(found[2], expected[2], strict=True):
        assert row == pytest.approx(plain_row, abs=1e-3)


@pytest.mark.parametrize("lora", [pytest.param(False, marks=SLOW), True])
def test_every_stage_trains_as_plain_pytorch(groups: dict[int, LearnerGroup], lora: bool) -> None:
    batches = [make_batch(), make_batch((1, 2, 1, 1, 3, 1, 1, 1))]
    expected = train_plainly(learner_config(lora=lora), batches)
    assert expected[0][0]["grad_norm"] > 0
    for ranks, stages in ((1, (0, 3)), (2, STAGES)):
        for stage in stages:
            assert_equal(
                train(groups[ranks], learner_config(ranks, stage, lora), batches), expected
            )


@pytest.mark.parametrize("lora", [False, pytest.param(True, marks=SLOW)])
def test_ranks_may_have_different_numbers_of_images(
    groups: dict[int, LearnerGroup], lora: bool
) -> None:
    uneven = [make_batch((0, 3) * 4), make_batch((0,) * 8), make_batch((2, 0, 0, 0, 0, 0, 0, 0))]
    expected = train_plainly(learner_config(lora=lora), uneven)
    for stage in (2, 3):
        assert_equal(train(groups[2], learner_config(2, stage, lora), uneven), expected)


@pytest.mark.parametrize("stage", [pytest.param(0, marks=SLOW), 2, pytest.param(3, marks=SLOW)])
def test_an_update_that_is_not_finite_changes_nothing(
    groups: dict[int, LearnerGroup], stage: int
) -> None:
    batch = make_batch()
    config = learner_config(2, stage)
    [once, twice], expected, scores = train(groups[2], config, [batch, batch])
    [first, bad, second], weights, after = train(groups[2], config, [batch, spoiled(batch), batch])
    assert bad["guard/skipped_updates"] == 1
    assert (first, second) == (once, twice)  # Adam's moments and step count too are untouched
    assert after == scores
    for name, weight in expected.items():
        assert torch.equal(weights[name], weight), name


@pytest.mark.parametrize("lora", [pytest.param(False, marks=SLOW), True])
def test_gradient_checkpointing_changes_nothing(
    groups: dict[int, LearnerGroup], lora: bool
) -> None:
    batches = [make_batch((1, 2, 0, 1, 3, 1, 1, 1))] * 2
    expected = train_plainly(learner_config(lora=lora), batches)
    for stage in (0, 3):
        config = learner_config(2, stage, lora, gradient_checkpointing=True)
        assert_equal(train(groups[2], config, batches), expected)


@pytest.mark.parametrize("stage", [pytest.param(0, marks=SLOW), 3])
def test_bfloat16_follows_float32(groups: dict[int, LearnerGroup], stage: int) -> None:
    batches = [make_batch(), make_batch(), spoiled(make_batch())]
    exact, *_ = train_plainly(learner_config(), batches)
    config = learner_config(2, stage, dtype="bfloat16")
    metrics, weights, _ = train(groups[2], config, batches)
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}
    assert metrics[0]["grad_norm"] == pytest.approx(exact[0]["grad_norm"], rel=0.25)
    for found, expected in zip(metrics[:2], exact[:2], strict=True):
        assert found["entropy"] == pytest.approx(expected["entropy"], rel=0.05)
    assert metrics[2]["guard/skipped_updates"] == 1
    assert all(weight.isfinite().all() for weight in weights.values())


@pytest.mark.parametrize(
    ("stage", "lora", "dtype"),
    [
        (0, False, "float32"),
        pytest.param(1, True, "float32", marks=SLOW),
        pytest.param(2, True, "bfloat16", marks=SLOW),
        pytest.param(3, False, "float32", marks=SLOW),
        (3, True, "bfloat16"),
    ],
)
def test_a_resumed_learner_goes_on_exactly(
    groups: dict[int, LearnerGroup], stage: int, lora: bool, dtype: str, tmp_path: Path
) -> None:
    group, config, batch = groups[2], learner_config(2, stage, lora, dtype=dtype), make_batch()
    group.load(config, None)
    group.update(0, [ray.put(batch)])
    checkpoint = Checkpoints(tmp_path, 1).commit(1, {}, group.save)
    assert {path.suffix for path in (checkpoint.path / "learner").iterdir()} == {".safetensors"}
    expected = group.update(1, [ray.put(batch)])
    weights = read_weights(group, config)
    group.load(config, checkpoint)
    assert group.update(1, [ray.put(batch)]) == expected
    for name, weight in read_weights(group, config).items():
        assert torch.equal(weight, weights[name]), name


@SLOW
def test_other_ranks_at_another_stage_continue_a_learner(
    groups: dict[int, LearnerGroup], tmp_path: Path
) -> None:
    batch, checkpoint, weights = make_batch(), None, Weights()
    writers = [(2, 3), (1, 0), (2, 1), (2, 0), (1, 3), (2, 2), (1, 0)]
    for step, (ranks, stage) in enumerate(writers):
        group, config = groups[ranks], learner_config(ranks, stage, lora=True)
        group.load(config, checkpoint)
        if checkpoint is not None:
            for name, weight in read_weights(group, config).items():
                assert torch.equal(weight, weights[name]), name
        metrics = group.update(step, [ray.put(batch)])
        weights = read_weights(group, config)
        checkpoint = Checkpoints(tmp_path, 9).commit(step + 1, {}, group.save)
    expected = train_plainly(learner_config(lora=True), [batch] * len(writers))
    assert metrics == pytest.approx(expected[0][-1], rel=1e-3, abs=1e-4)
    for name, weight in expected[1].items():
        torch.testing.assert_close(weights[name], weight, atol=2e-4, rtol=0)


def test_a_folder_that_cannot_be_written_fails_on_all_ranks_at_once(
    groups: dict[int, LearnerGroup],
) -> None:
    group, config, batch = groups[2], learner_config(2, 2), make_batch()
    group.load(config, None)
    with pytest.raises(OSError, match="/dev/null"):
        group.save(Path("/dev/null/checkpoint"))
    assert group.update(0, [ray.put(batch)])["grad_norm"] > 0  # no rank waits for another


def test_shares_are_summed_and_maxima_are_not() -> None:
    shares = [{"loss": 1.0, "a/max": 3.0}, {"loss": 2.0, "a/max": 1.0}]
    assert combine(shares) == {"loss": 3.0, "a/max": 3.0}
