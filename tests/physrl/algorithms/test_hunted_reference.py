"""The reference of the KL term is the start policy, the base, or follows the policy."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from physrl.algorithms.update import Learner
from physrl.config.load import load_config, validate
from physrl.data.collate import Collator
from physrl.errors import ConfigError
from physrl.models.engine import TorchEngine
from physrl.models.loading import load_model, save_model
from physrl.models.processor import load_processor
from physrl.models.reference import BaseReference, FrozenReference
from physrl.training_records import TrainingBatch, TrainingExample
from tests.support.paths import TINY_BASE
from tests.support.training_batches import make_batch

LORA = {"rank": 4, "vision": True}
FORMS = ("adapter", "weights")


@pytest.fixture(scope="module")
def collator() -> Collator:
    return Collator(load_processor(str(TINY_BASE)))


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Tables `model` of start policies that differ from the base: an adapter, and all weights."""
    folder = tmp_path_factory.mktemp("starts")
    torch.manual_seed(1)
    for form, table in (("adapter", {"lora": LORA}), ("weights", {})):
        config = validate({"model": {"path": str(TINY_BASE)} | table})
        model = load_model(config.model)
        for name, weight in model.named_parameters():
            if "lora_B" in name or (form == "weights" and "layers.1" in name):
                weight.data += 0.02 * torch.randn_like(weight)
        save_model(model, load_processor(str(TINY_BASE)), folder, dict(model.state_dict()))
    return {
        "adapter": {"path": str(TINY_BASE), "lora": LORA, "adapter": str(folder / "adapter")},
        "weights": {"path": str(folder / "model")},
    }


def make_learner(model: dict[str, Any], collator: Collator, **algorithm: Any) -> Learner:
    table = {"beta": 0.1, "lr": 1e-3, "max_grad_norm": 1.0, "weight_decay": 0} | algorithm
    table |= {"steps": 50, "warmup_fraction": 0, "decay": "constant"}
    table |= {"importance_sampling_mode": "none"}
    config = validate({"model": model, "algorithm": table})
    return Learner(TorchEngine(load_model(config.model), config.algorithm), collator, config)


def without_advantage() -> tuple[TrainingExample, ...]:
    return tuple(
        replace(each, advantage=0.0, sampling_logprobs=()) for each in make_batch().examples
    )


def kl(
    learner: Learner, examples: tuple[TrainingExample, ...], reference: list[list[float]]
) -> float:
    rows = zip(learner.score(examples), reference, strict=True)
    differences = torch.tensor([r - p for pair in rows for p, r in zip(*pair, strict=True)])
    return float((torch.expm1(differences) - differences).mean())


@pytest.mark.parametrize("form", FORMS)
def test_hunted_kl_alone_keeps_the_start_policy(
    form: str, starts: dict[str, dict[str, Any]], collator: Collator
) -> None:
    learner, examples = make_learner(starts[form], collator), without_advantage()
    before = learner.score(examples)
    for step in range(5):
        metrics = learner.update(TrainingBatch(examples), step)
        assert metrics["kl"] == pytest.approx(0, abs=1e-7)
    torch.testing.assert_close(learner.score(examples), before, atol=1e-4, rtol=0)


@pytest.mark.parametrize("form", FORMS)
def test_hunted_reference_stays_the_start_policy_while_the_policy_moves(
    form: str, starts: dict[str, dict[str, Any]], collator: Collator
) -> None:
    learner, moving = make_learner(starts[form], collator), make_batch().examples
    examples = without_advantage()
    start = learner.score(examples)
    for step in range(4):
        expected = kl(learner, moving, learner_scores(starts[form], collator, moving))
        metrics = learner.update(TrainingBatch(moving), step)
        assert metrics["kl"] == pytest.approx(expected, rel=1e-3, abs=1e-7)
    assert metrics["kl"] > 1e-4
    reference = learner._reference
    assert isinstance(reference, FrozenReference)
    trained = {n: w.clone() for n, w in learner._engine.model.state_dict().items()}
    with reference.active():
        torch.testing.assert_close(learner.score(examples), start, atol=1e-5, rtol=0)
    for name, weight in learner._engine.model.state_dict().items():
        assert torch.equal(weight, trained[name])


def learner_scores(
    model: dict[str, Any], collator: Collator, examples: tuple[TrainingExample, ...]
) -> list[list[float]]:
    """Score under a freshly loaded start policy, as plain PEFT or transformers load it."""
    return make_learner(model, collator, beta=0).score(examples)


def test_hunted_reference_can_be_the_base(
    starts: dict[str, dict[str, Any]], collator: Collator
) -> None:
    learner = make_learner(starts["adapter"], collator, reference="base")
    assert isinstance(learner._reference, BaseReference)
    examples = without_advantage()
    base = learner_scores({"path": str(TINY_BASE)}, collator, examples)
    expected = kl(learner, examples, base)
    assert learner.update(TrainingBatch(examples), 0)["kl"] == pytest.approx(expected, rel=1e-3)
    assert expected > 1e-4


def test_hunted_new_adapter_starts_from_the_base(collator: Collator) -> None:
    learner = make_learner({"path": str(TINY_BASE), "lora": LORA}, collator)
    assert isinstance(learner._reference, BaseReference)  # no copy is needed
    assert make_learner({"path": str(TINY_BASE)}, collator, beta=0)._reference is None


def test_hunted_synced_reference_follows_and_is_resumed(
    starts: dict[str, dict[str, Any]], collator: Collator, tmp_path: Path
) -> None:
    batch = TrainingBatch(make_batch().examples)
    learner = make_learner(starts["adapter"], collator, sync_every=3)
    kls = [learner.update(batch, step)["kl"] for step in range(7)]
    assert [value < 1e-7 for value in kls] == [step % 3 == 0 for step in range(7)]
    learner.save_reference(tmp_path)
    resumed = make_learner(starts["adapter"], collator, sync_every=3)
    resumed._engine.model.load_state_dict(learner._engine.model.state_dict())
    resumed.load_reference(tmp_path)
    assert resumed.update(batch, 7)["kl"] == learner.update(batch, 7)["kl"]


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["algorithm.beta=0.1", "algorithm.reference=base"], "reference"),
        (
            ["algorithm={beta: 0.1, reference: base, sync_every: 2}", "model.lora.rank=4"],
            "sync_every",
        ),
        (["algorithm.beta=0.1", "runtime.zero_stage=3"], "zero_stage"),
        (
            ["algorithm={beta: 0.1, sync_every: 2}", "model.lora.rank=4", "runtime.zero_stage=3"],
            "zero_stage",
        ),
        (["algorithm.reference=teacher"], "reference"),
    ],
)
def test_hunted_reference_that_cannot_be_is_refused(overrides: list[str], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        load_config(None, overrides)
