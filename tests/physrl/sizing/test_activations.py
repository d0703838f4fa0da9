"""Estimates against hand-computed numbers and the tensors that autograd keeps."""

from itertools import chain
from typing import Any

import pytest
import torch

from physrl.config.load import load_config
from physrl.config.run import RunConfig
from physrl.models.loading import load_model
from physrl.sizing.activations import activation_bytes, layer_bytes_per_token
from physrl.sizing.model_size import model_size
from tests.support.sizes import THOUSAND


def config_of(*overrides: str) -> RunConfig:
    return load_config(None, overrides)


def test_a_micro_batch_holds_no_more_than_the_update() -> None:
    small = config_of("algorithm.prompts_per_step=1", "algorithm.group_size=2")
    large = config_of("algorithm.prompts_per_step=64", "algorithm.group_size=64")
    language = layer_bytes_per_token(THOUSAND.language, "float32") * 11
    vision = layer_bytes_per_token(THOUSAND.vision, "float32") * 6 * 36
    tile = 4 * (1 << 22)
    # Two rows of 256 + 24 tokens with one image of 6 x 6 patches.
    assert activation_bytes(small, THOUSAND) == 560 * language + vision + tile
    # 8192 tokens are 30 rows of one group.
    assert activation_bytes(large, THOUSAND) == 8192 * language + vision + tile


def test_checkpointing_keeps_inputs() -> None:
    kept, checkpointed = (
        activation_bytes(config_of(f"model.gradient_checkpointing={on}"), THOUSAND)
        for on in ("false", "true")
    )
    assert checkpointed < kept


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_activations_are_about_what_autograd_keeps(dtype: str) -> None:
    config = config_of(f"model.dtype={dtype}")
    size = model_size(config.model)
    model = load_model(config.model).train()
    states = torch.randn(2, 64, size.language.hidden, dtype=model.dtype, requires_grad=True)
    text = kept_bytes(model, lambda: model.model.language_model(inputs_embeds=states))
    patches = torch.randn(64, 3 * 2 * 14 * 14, dtype=model.dtype)
    image = kept_bytes(model, lambda: model.model.visual(patches, torch.tensor([[1, 8, 8]])))
    expected_text = 128 * 3 * layer_bytes_per_token(size.language, dtype)
    expected_image = 64 * 3 * layer_bytes_per_token(size.vision, dtype)
    assert text == pytest.approx(expected_text, rel=0.15)
    assert image == pytest.approx(expected_image, rel=0.5)


def kept_bytes(model: Any, forward: Any) -> int:
    """Measure the storages that a forward pass keeps for the backward pass, besides weights."""
    weights = {t.untyped_storage().data_ptr() for t in chain(model.parameters(), model.buffers())}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if (address := tensor.untyped_storage().data_ptr()) not in weights:
            kept[address] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        forward()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
