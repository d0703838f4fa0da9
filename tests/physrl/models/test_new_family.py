"""The recipe of docs/howto/add-a-model-family.md, performed with Qwen3-VL-MoE."""

import re
from pathlib import Path
from typing import Any

import pytest
from transformers import Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration

from physrl.algorithms.update import Learner
from physrl.config.load import validate
from physrl.config.model import MODEL_TYPES, ModelConfig
from physrl.data.collate import Collator
from physrl.errors import ConfigError
from physrl.models.activations import collect_activations
from physrl.models.engine import TorchEngine
from physrl.models.loading import load_model
from physrl.models.processor import load_processor
from physrl.training_records import Demonstration
from physrl.types import Prompt
from tests.support.families import BUILDERS, qwen3_settings, save_family
from tests.support.images import random_image
from tests.support.paths import ROOT

FAMILY = "qwen3_vl_moe"
ALL_PARTS = {"rank": 2, "vision": True, "projector": True}


def build_moe(tiny: Any) -> Any:
    settings = qwen3_settings(tiny)
    settings["text_config"] |= {
        "model_type": "qwen3_vl_moe_text",
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
    }
    return Qwen3VLMoeForConditionalGeneration(Qwen3VLMoeConfig(**settings))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BUILDERS, FAMILY, build_moe)
        return save_family(FAMILY, tmp_path_factory.mktemp(FAMILY))


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("physrl.models.loading.MODEL_TYPES", (*MODEL_TYPES, FAMILY))


def demonstrations() -> list[Demonstration]:
    prompts = [Prompt.ask(str(n), "How many?", random_image(n)) for n in range(3)]
    return [Demonstration(prompt, f"<answer>{n}</answer>") for n, prompt in enumerate(prompts)]


def test_a_new_type_is_refused(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match=FAMILY):
        load_model(ModelConfig(path=str(checkpoint)))


@pytest.mark.usefixtures("accepted")
@pytest.mark.parametrize("lora", [None, ALL_PARTS])
def test_an_accepted_type_is_trained(checkpoint: Path, lora: dict[str, Any] | None) -> None:
    tree = {"model": {"path": str(checkpoint), "lora": lora}, "algorithm": {"type": "sft"}}
    config = validate(tree)
    model = load_model(config.model)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    for part in ("language_model.layers.", "visual.blocks.", "visual.merger."):
        assert any(part in name for name in trained), part
    collator = Collator(load_processor(str(checkpoint)))
    learner = Learner(TorchEngine(model, config.algorithm), collator, config)
    before = learner.update(demonstrations(), 0)
    assert before["grad_norm"] > 0
    assert learner.update(demonstrations(), 1)["loss"] < before["loss"]


@pytest.mark.usefixtures("accepted")
def test_an_accepted_type_has_activations(checkpoint: Path) -> None:
    model = load_model(ModelConfig(path=str(checkpoint)))
    collator = Collator(load_processor(str(checkpoint)))
    found = collect_activations(model, collator, [one.prompt for one in demonstrations()])
    assert {"vision.0", "merger", "language.0"} <= set(found)


def test_the_recipe_names_existing_files() -> None:
    text = (ROOT / "docs" / "howto" / "add-a-model-family.md").read_text()
    files = re.findall(r"`((?:physrl|jobs|tests)/[\w/]+\.py)`", text)
    assert len(files) > 5
    assert [file for file in files if not (ROOT / file).is_file()] == []
