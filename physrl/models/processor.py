"""A Qwen-VL checkpoint's processor, apart from its model: who only asks questions loads no PEFT."""

from typing import Any

from physrl.models.without_sklearn import without_sklearn

with without_sklearn():
    from transformers import AutoProcessor


def load_processor(path: str) -> Any:
    """The checkpoint's own processor: tokenizer, picture sizes and chat template."""
    return AutoProcessor.from_pretrained(path)
