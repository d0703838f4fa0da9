"""Loading of a checkpoint's processor, apart from its model so that it does not import PEFT."""

import math
from typing import Any

from physrl.config.model import ModelConfig
from physrl.models.without_sklearn import without_sklearn

with without_sklearn():
    from transformers import AutoProcessor


def load_processor(path: str) -> Any:
    """Load the checkpoint's own processor: tokenizer, image processor and chat template."""
    return AutoProcessor.from_pretrained(path)


def configured_processor(model: ModelConfig) -> Any:
    """Load the processor of a model, with the configured limits on the pixels of an image."""
    processor = AutoProcessor.from_pretrained(model.path, revision=model.revision)
    processor.image_processor.size = image_size(model, processor.image_processor.size)
    return processor


def image_size(model: ModelConfig, size: Any) -> dict[str, int]:
    """Replace the configured limits in the size of an image processor, which counts pixels.

    Qwen's image processors name the limits after edges, but compare them with areas.
    """
    least = size["shortest_edge"] if model.min_pixels is None else model.min_pixels
    most = size["longest_edge"] if model.max_pixels is None else model.max_pixels
    return {"shortest_edge": least, "longest_edge": most}


def largest_side(model: ModelConfig, processor: Any) -> int:
    """Return the side, in pixels, of the largest square image that fits into a prompt."""
    images = processor.image_processor
    return math.isqrt(model.max_prompt_tokens) * int(images.patch_size) * int(images.merge_size)
