"""Counts from a config.json against loaded models and published sizes."""

import pytest
import torch
from transformers import AutoModelForImageTextToText, Qwen2_5_VLConfig

from physrl.config.model import LoRAConfig, ModelConfig
from physrl.models.engine import trainable
from physrl.models.loading import load_model
from physrl.sizing.model_size import Layers, ModelSize, count, model_size
from tests.support.paths import TINY_BASE

VISION = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "patch_size": 14,
    "spatial_merge_size": 2,
}
QWEN_3B = {
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
}
QWEN_7B = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
}


def published(text: dict[str, int], *, tied: bool, lora: LoRAConfig | None = None) -> ModelSize:
    """Count the parameters of a Qwen2.5-VL with the published architecture."""
    config = Qwen2_5_VLConfig(
        text_config={**text, "tie_word_embeddings": tied},
        vision_config={**VISION, "out_hidden_size": text["hidden_size"]},
        tie_word_embeddings=tied,
    )
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    return count(model, ModelConfig(path=str(TINY_BASE), lora=lora))


@pytest.mark.parametrize(
    "lora",
    [
        None,
        LoRAConfig(rank=16),
        LoRAConfig(rank=8, vision=True),
        LoRAConfig(rank=4, language=False, projector=True),
        LoRAConfig(rank=1, vision=True, projector=True),
    ],
)
def test_counts_are_those_of_the_loaded_model(lora: LoRAConfig | None) -> None:
    config = ModelConfig(path=str(TINY_BASE), lora=lora)
    size, model = model_size(config), load_model(config)
    assert size.trained == sum(p.numel() for p in trainable(model))
    adapters = 0 if lora is None else size.trained
    assert size.parameters == sum(p.numel() for p in model.parameters()) - adapters


def test_layers_of_the_tiny_base() -> None:
    size = model_size(ModelConfig(path=str(TINY_BASE)))
    assert size.language.count == size.vision.count == 3
    assert (size.language.hidden, size.language.intermediate) == (96, 256)
    assert size.vision == Layers(count=3, hidden=96, queries=96, keys=96, intermediate=192)
    assert size.patch == 14


def test_published_sizes() -> None:
    small, large = published(QWEN_3B, tied=True), published(QWEN_7B, tied=False)
    assert small.parameters == pytest.approx(3.75e9, rel=0.01)
    assert large.parameters == pytest.approx(8.29e9, rel=0.01)
    assert large.head == 152064 * 3584
    assert small.language == Layers(36, hidden=2048, queries=2048, keys=256, intermediate=11008)


def test_an_adapter_by_hand() -> None:
    size = published(QWEN_3B, tied=True, lora=LoRAConfig(rank=16))
    attention = (2048 + 2048) * 2 + (2048 + 256) * 2  # q and o, k and v
    mlp = (2048 + 11008) * 3
    assert size.trained == 16 * 36 * (attention + mlp)
