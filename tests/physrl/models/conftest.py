"""Small random checkpoints of every Qwen-VL family, with the tiny model's processor."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
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

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")


@pytest.fixture(scope="session", params=FAMILIES)
def family_checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Make a checkpoint folder of each family in turn."""
    return save_family(request.param, tmp_path_factory.mktemp(request.param))


def save_family(family: str, folder: Path) -> Path:
    """Write a checkpoint of the family and return its folder."""
    questions = [question_text(task, reasoning=False) for task in TASKS.values()]
    model, processor = build_tiny([*vocabulary(), *questions, "Yes No", *TAGS], seed=0)
    torch.manual_seed(0)
    if family == "qwen2_vl":
        model = Qwen2VLForConditionalGeneration(Qwen2VLConfig(**_config(model.config)))
    if family == "qwen3_vl":
        model = Qwen3VLForConditionalGeneration(_qwen3_config(model.config))
        processor = Qwen3VLProcessor(
            image_processor=processor.image_processor,
            tokenizer=processor.tokenizer,
            video_processor=processor.video_processor,
            chat_template=processor.chat_template,
        )
    save_checkpoint(model, processor, folder)
    return folder


def _config(tiny: Any) -> dict[str, Any]:
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
    return {"text_config": text, "vision_config": vision} | _token_ids(tiny)


def _qwen3_config(tiny: Any) -> Qwen3VLConfig:
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
    return Qwen3VLConfig(text_config=text, vision_config=vision, **_token_ids(tiny))


def _token_ids(tiny: Any) -> dict[str, Any]:
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return {name: getattr(tiny, name) for name in names} | {"tie_word_embeddings": True}
