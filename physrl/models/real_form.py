"""Random checkpoints of the real form: everything as in the published ones, except the weights.

Vocabulary size, special tokens and their ids, chat template, image processor and the layers' shapes
are the published values. The words of the tokenizer are not: a small one is trained on given texts
and padded with unused words, so that no file has to be downloaded.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
)

from physrl.models.tiny import train_tokenizer

Family = Literal["qwen2_vl", "qwen2_5_vl", "qwen3_vl"]
VOCABULARY = 151_936
"""Rows of the embedding; the tokenizer has fewer words."""
FIRST_SPECIAL = 151_643
SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
PLAIN = (
    *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"),
    *("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"),
)
"""Words after the special ones that count as text."""
THINKING = ("<tool_response>", "</tool_response>", "<think>", "</think>")
"""Words of Qwen3's tokenizer that Qwen2's spells in several tokens."""
SYSTEM = "You are a helpful assistant."
"""Turn that Qwen2's template begins with, unless the conversation has one."""
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WITH_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n" + SYSTEM + "<|im_end|>\n"
    "{% endif %}" + TEMPLATE
)
CLIP_MEAN, CLIP_STD = (
    [0.48145466, 0.4578275, 0.40821073],
    [0.26862954, 0.26130258, 0.27577711],
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a checkpoint's layers; the rest is the same for a family."""

    family: Family
    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    tied: bool = True

    def with_layers(self, count: int) -> "Shape":
        """Return the shape with another number of text layers."""
        return replace(self, text=dict(self.text) | {"num_hidden_layers": count})


SHAPES = {
    "Qwen2.5-VL-3B": Shape(
        "qwen2_5_vl",
        {
            "hidden_size": 2048,
            "intermediate_size": 11_008,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
        },
        {
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "fullatt_block_indexes": [7, 15, 23, 31],
        },
    ),
    "Qwen3-VL-4B": Shape(
        "qwen3_vl",
        {
            "hidden_size": 2560,
            "intermediate_size": 9728,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
        },
        {
            "depth": 24,
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_heads": 16,
            "num_position_embeddings": 2304,
            "deepstack_visual_indexes": [5, 11, 17],
        },
    ),
}
"""Published shapes by name."""
_SMALL_TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
_SMALL_VISION = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2}
SMALL = {
    "qwen2_vl": Shape(
        "qwen2_vl", _SMALL_TEXT, {"depth": 2, "embed_dim": 32, "num_heads": 2, "mlp_ratio": 2}
    ),
    "qwen2_5_vl": Shape("qwen2_5_vl", _SMALL_TEXT, _SMALL_VISION | {"fullatt_block_indexes": [1]}),
    "qwen3_vl": Shape(
        "qwen3_vl",
        _SMALL_TEXT,
        _SMALL_VISION | {"num_position_embeddings": 2304, "deepstack_visual_indexes": [0]},
    ),
}
"""Shapes for a CPU, by family: heads of 32, the least of vLLM's CPU kernel."""


def save_real_form(
    shape: Shape,
    folder: Path,
    tokenizer: Qwen2Tokenizer,
    *,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    seed: int = 0,
) -> int:
    """Write a random checkpoint of a published form, and return its number of parameters.

    Args:
        tokenizer: that of the family, published or padded (`padded_tokenizer`).
        device: device that computes the weights.
    """
    processor = _processor(shape.family, tokenizer)
    model = build_real_form(shape, dtype=dtype, device=device, seed=seed)
    model.generation_config.eos_token_id = [FIRST_SPECIAL + 2, FIRST_SPECIAL]
    model.generation_config.pad_token_id = FIRST_SPECIAL
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return sum(weight.numel() for weight in model.parameters())


def build_real_form(
    shape: Shape, *, dtype: torch.dtype = torch.float32, device: str = "cpu", seed: int = 0
) -> Any:
    """Build a random model of a shape."""
    torch.manual_seed(seed)
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)
        with torch.device(device):
            return _MODELS[shape.family](_config(shape))
    finally:
        torch.set_default_dtype(before)


def _config(shape: Shape) -> Any:
    """Make the configuration of a family with the layers of a shape."""
    ids = {
        "image_token_id": _id("<|image_pad|>"),
        "video_token_id": _id("<|video_pad|>"),
        "vision_start_token_id": _id("<|vision_start|>"),
        "vision_end_token_id": _id("<|vision_end|>"),
        "tie_word_embeddings": shape.tied,
    }
    third = shape.family == "qwen3_vl"
    width = shape.text["hidden_size"] // shape.text["num_attention_heads"]
    head = 128 if third and width > 64 else width
    sections = [24, 20, 20] if third else [16, 24, 24]
    rope: dict[str, Any] = {
        "rope_type": "default",
        "rope_theta": 5e6 if third else 1e6,
        "mrope_section": sections if head == 128 else [head // 4, head // 8, head // 8],
    }
    text = dict(shape.text) | {
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 262_144 if third else 128_000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": rope | ({"mrope_interleaved": True} if third else {}),
        "bos_token_id": _id("<|endoftext|>"),
        "eos_token_id": _id("<|im_end|>"),
        "pad_token_id": _id("<|endoftext|>"),
        "tie_word_embeddings": shape.tied,
    }
    vision = dict(shape.vision) | {
        "patch_size": 16 if third else 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    if third:
        text["head_dim"] = head
        vision["out_hidden_size"] = text["hidden_size"]
    elif shape.family == "qwen2_5_vl":
        vision |= {"out_hidden_size": text["hidden_size"], "window_size": 112}
    else:
        vision["hidden_size"] = text["hidden_size"]
    return _CONFIGS[shape.family](text_config=text, vision_config=vision, **ids)


def _processor(family: Family, tokenizer: Qwen2Tokenizer) -> Any:
    """Make the processor of a family with the published sizes of images."""
    third = family == "qwen3_vl"
    images = {
        "patch_size": 16 if third else 14,
        "merge_size": 2,
        "image_mean": [0.5] * 3 if third else CLIP_MEAN,
        "image_std": [0.5] * 3 if third else CLIP_STD,
        "size": {"shortest_edge": 65_536, "longest_edge": 16_777_216}
        if third
        else {"shortest_edge": 3136, "longest_edge": 12_845_056},
    }
    return _PROCESSORS[family](
        image_processor=Qwen2VLImageProcessor(**images),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**images),
        chat_template=TEMPLATE if third else WITH_SYSTEM,
    )


def padded_tokenizer(family: Family, texts: Iterable[str]) -> Qwen2Tokenizer:
    """Train a small tokenizer, and pad it so that special tokens have their published ids."""
    trained = json.loads(train_tokenizer(texts).to_str())
    words = trained["model"]["vocab"]
    unused = range(len(words), FIRST_SPECIAL)
    words |= {f"[unused {number}]": number for number in unused}
    added = [*SPECIAL, *PLAIN, *(THINKING if family == "qwen3_vl" else ())]
    options = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    trained["added_tokens"] = [
        {"id": number, "content": word, "special": word in SPECIAL} | options
        for number, word in enumerate(added, FIRST_SPECIAL)
    ]
    return load_tokenizer(json.dumps(trained))


def load_tokenizer(text: str) -> Qwen2Tokenizer:
    """Make a tokenizer of the text of a tokenizer.json."""
    return Qwen2Tokenizer(
        tokenizer_object=Tokenizer.from_str(text),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token=None,
        bos_token=None,
    )


def _id(word: str) -> int:
    return FIRST_SPECIAL + SPECIAL.index(word)


_CONFIGS: Mapping[str, Any] = {
    "qwen2_vl": Qwen2VLConfig,
    "qwen2_5_vl": Qwen2_5_VLConfig,
    "qwen3_vl": Qwen3VLConfig,
}
_MODELS: Mapping[str, Any] = {
    "qwen2_vl": Qwen2VLForConditionalGeneration,
    "qwen2_5_vl": Qwen2_5_VLForConditionalGeneration,
    "qwen3_vl": Qwen3VLForConditionalGeneration,
}
_PROCESSORS: Mapping[str, Any] = {
    "qwen2_vl": Qwen2VLProcessor,
    "qwen2_5_vl": Qwen2_5_VLProcessor,
    "qwen3_vl": Qwen3VLProcessor,
}
