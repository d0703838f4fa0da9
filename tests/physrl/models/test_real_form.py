"""Random checkpoints have the form of published ones: ids, names, sizes, templates."""

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from physrl.config.model import ModelConfig
from physrl.data.collate import Collator
from physrl.models.processor import configured_processor, largest_side, load_processor
from physrl.models.real_form import (
    PLAIN,
    SHAPES,
    SMALL,
    SPECIAL,
    THINKING,
    VOCABULARY,
    Family,
    build_real_form,
    padded_tokenizer,
    save_real_form,
)
from physrl.types import Prompt
from tests.support.images import random_image
from tests.support.published_tokenizers import published_tokenizer

TEXTS = ["Where is the red block? <answer>150</answer>", "<think>", "Yes No"]
THINK: dict[Family, int] = {"qwen2_vl": 3, "qwen2_5_vl": 3, "qwen3_vl": 1}
"""Tokens of `<think>`, by family."""


@pytest.fixture(scope="module", params=sorted(SMALL))
def checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Family, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    tokenizer = padded_tokenizer(request.param, TEXTS)
    parameters = save_real_form(SMALL[request.param], folder, tokenizer)
    assert parameters > VOCABULARY * 64
    return request.param, folder


def test_words_have_the_published_ids(checkpoint: tuple[Family, Path]) -> None:
    family, folder = checkpoint
    tokenizer = load_processor(str(folder)).tokenizer
    ids = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    assert (ids["<|endoftext|>"], ids["<|im_end|>"]) == (151_643, 151_645)
    assert tokenizer.convert_tokens_to_ids("<|image_pad|>") == 151_655
    assert len(tokenizer) == (151_669 if family == "qwen3_vl" else 151_665)
    thought = tokenizer("<think>")["input_ids"]
    assert len(thought) == THINK[family]
    assert family != "qwen3_vl" or thought == [151_667]
    digits = tokenizer("150")["input_ids"]
    assert len(digits) == 3
    assert tokenizer.decode([*digits, 151_930, 151_645], skip_special_tokens=True) == "150"


def test_files_have_the_published_settings(checkpoint: tuple[Family, Path]) -> None:
    family, folder = checkpoint
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == family
    assert config["text_config"]["vocab_size"] == VOCABULARY
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation["eos_token_id"] == [151_645, 151_643]
    with safe_open(folder / "model.safetensors", "pt") as weights:
        names = set(weights.keys())
    prefix = "model.language_model." if family == "qwen3_vl" else "model."
    assert f"{prefix}layers.0.self_attn.q_proj.weight" in names
    assert "lm_head.weight" not in names  # tied


def test_prompts_begin_as_the_family_does(checkpoint: tuple[Family, Path]) -> None:
    family, folder = checkpoint
    model = ModelConfig(path=str(folder), max_prompt_tokens=100)
    processor = configured_processor(model)
    text = Collator(processor).chat_text(Prompt.ask("a", "Where?", random_image(0, 56)))
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    start = "" if family == "qwen3_vl" else system
    expected = f"{start}<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Where?"
    assert text.startswith(expected)
    # 10 x 10 tokens of 2 x 2 patches.
    assert largest_side(model, processor) == (320 if family == "qwen3_vl" else 280)


@pytest.mark.parametrize(("name", "billions"), [("Qwen2.5-VL-3B", 3.75), ("Qwen3-VL-4B", 4.44)])
def test_published_shapes_have_the_published_size(name: str, billions: float) -> None:
    model = build_real_form(SHAPES[name], device="meta")
    parameters = sum(weight.numel() for weight in model.parameters())
    assert parameters / 1e9 == pytest.approx(billions, abs=0.02)
    assert SHAPES[name].with_layers(2).text["num_hidden_layers"] == 2
    assert SHAPES[name].text["num_hidden_layers"] == 36


@pytest.mark.parametrize("family", sorted(SMALL))
def test_padded_words_have_the_ids_and_lengths_of_published_ones(family: Family) -> None:
    published, padded = published_tokenizer(family), padded_tokenizer(family, TEXTS)
    assert len(padded) == len(published)
    special = [*SPECIAL, *PLAIN, *(THINKING if family == "qwen3_vl" else ())]
    assert padded.convert_tokens_to_ids(special) == published.convert_tokens_to_ids(special)
    for text in ("<think>", "150", "-12", "<|im_end|>\n"):
        assert len(padded(text)["input_ids"]) == len(published(text)["input_ids"])
    assert len(published("<answer>150</answer>")["input_ids"]) == 9
