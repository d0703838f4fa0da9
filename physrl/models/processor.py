"""Loading of a checkpoint's processor, apart from its model so that it does not import PEFT."""

from typing import Any

from physrl.models.without_sklearn import without_sklearn

with without_sklearn():
    from transformers import AutoProcessor


def load_processor(path: str) -> Any:
    """Load the checkpoint's own processor: tokenizer, image processor and chat template."""
    return AutoProcessor.from_pretrained(path)
