"""The random model of the check: the real form without any download."""

from collections.abc import Sequence
from pathlib import Path

SHAPE = "Qwen2.5-VL-3B"
"""Published form of the model on GPUs; on a CPU it has small layers."""


def save_random(
    folder: Path, texts: Sequence[str], dtype: str, gpus: int, layers: int | None = None
) -> int:
    """Write a random checkpoint, and return its number of parameters.

    Args:
        texts: texts whose words the tokenizer has.
        layers: number of text layers; None for the published one.
    """
    import torch

    from physrl.models.real_form import SHAPES, SMALL, padded_tokenizer, save_real_form

    shape = SHAPES[SHAPE] if gpus else SMALL["qwen2_5_vl"]
    device = "cuda" if gpus else "cpu"
    return save_real_form(
        shape if layers is None else shape.with_layers(layers),
        folder,
        padded_tokenizer(shape.family, texts),
        dtype=getattr(torch, dtype),
        device=device,
    )
