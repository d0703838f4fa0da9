"""Small random checkpoints of the Qwen-VL families, with the tiny model's processor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
)

from physrl.data.describe import vocabulary
from physrl.models.tiny import TAGS, build_tiny, save_checkpoint
from physrl.tasks import TASKS
from physrl.tasks.task import question_text


def save_family(family: str, folder: Path) -> Path:
    """Write a checkpoint of the family and return its folder."""
    questions = [question_text(task, reasoning=False) for task in TASKS.values()]
    tiny, processor = build_tiny([*vocabulary(), *questions, "Yes No", *TAGS], seed=0)
    torch.manual_seed(0)
    model = BUILDERS[family](tiny.config)
    if family.startswith("qwen3"):
        processor = Qwen3VLProcessor(
            image_processor=processor.image_processor,
            tokenizer=processor.tokenizer,
            video_processor=processor.video_processor,
            chat_template=processor.chat_template,
        )
    save_checkpoint(model, processor, folder)
    return folder


def build_qwen2(tiny: Any) -> Any:
    """Build a Qwen2-VL with the tiny model's language layers."""
    text = tiny.text_config.to_dict() | {"model_type": "qwen2_vl_text"}
    vision = {
        "depth": 2,
        "embed_dim": 32,
        "hidden_size": tiny.text_config.hidden_size,
        "num_heads": 2,
        "mlp_ratio": 2,
        "patch_size": 14,
        "spatial_merge_size": 2,
    }
    config = Qwen2VLConfig(text_config=text, vision_config=vision, **token_ids(tiny))
    return Qwen2VLForConditionalGeneration(config)


def build_qwen3(tiny: Any) -> Any:
    """Build a Qwen3-VL with the tiny model's language layers."""
    return Qwen3VLForConditionalGeneration(Qwen3VLConfig(**qwen3_settings(tiny)))


def qwen3_settings(tiny: Any) -> dict[str, Any]:
    """Make the settings of a Qwen3-VL configuration."""
    text = tiny.text_config.to_dict() | {"model_type": "qwen3_vl_text", "head_dim": 32}
    # transformers always interleaves; vLLM follows the checkpoint.
    text["rope_parameters"] |= {"mrope_interleaved": True}
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": tiny.text_config.hidden_size,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "num_position_embeddings": 36,
        "deepstack_visual_indexes": [0],
    }
    return {"text_config": text, "vision_config": vision} | token_ids(tiny)


def token_ids(tiny: Any) -> dict[str, Any]:
    """Copy the tiny model's special token ids, with a tied head."""
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return {name: getattr(tiny, name) for name in names} | {"tie_word_embeddings": True}


BUILDERS: dict[str, Callable[[Any], Any]] = {
    "qwen2_vl": build_qwen2,
    "qwen2_5_vl": Qwen2_5_VLForConditionalGeneration,
    "qwen3_vl": build_qwen3,
}
"""Builders by `model_type`: from the tiny model's configuration to a random model."""
