"""Activations of every layer of a Qwen-VL model."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from physrl.data.collate import Collator, ModelInputs
from physrl.models.engine import evaluating
from physrl.models.logprobs import core, last_hidden
from physrl.training_records import TrainingExample
from physrl.types import Prompt

REGIONS = 9
"""Number of parts of an image whose patches are averaged, which keeps the layout and gives images
of any size as many features."""
ROWS = 16
"""Number of prompts in a forward pass."""

Activations = dict[str, NDArray[np.float32]]
"""Prompts x features by layer, in order: `vision.0` ..., `merger`, `language.0` ..."""


def collect_activations(model: Any, collator: Collator, prompts: Sequence[Prompt]) -> Activations:
    """Collect activations of each prompt's last image and of its last token.

    Layers of the vision tower and the merger are means over each of `REGIONS` consecutive runs of
    patches; language layers are those of the last token, where the answer begins.

    Args:
        prompts: prompts with at least one image, all of one size.
    """
    taken: dict[str, list[NDArray[np.float32]]] = {}
    with evaluating(model), torch.no_grad():
        for start in range(0, len(prompts), ROWS):
            rows = [
                TrainingExample(prompt, (collator.eos_token_id,))
                for prompt in prompts[start : start + ROWS]
            ]
            inputs = collator(rows).to(next(core(model).parameters()).device)
            with _recorded(model) as outputs:
                last_hidden(model, inputs)
            for layer, output in outputs.items():
                pool = _at_last_token if layer.startswith("language") else _by_regions
                pooled = pool(output, inputs).float().cpu().numpy()
                taken.setdefault(layer, []).append(pooled)
    return {layer: np.concatenate(parts) for layer, parts in taken.items()}


def untrained_like(model: Any, seed: int = 0) -> Any:
    """Make a model of the same shape with new random weights."""
    torch.manual_seed(seed)
    inner = core(model)
    return type(inner)(inner.config).to(next(inner.parameters()).device)


@contextmanager
def _recorded(model: Any) -> Iterator[dict[str, Tensor]]:
    """Record the output of every layer, in the order in which they run."""
    outputs: dict[str, Tensor] = {}

    def record(layer: str) -> Callable[[Any, Any, Any], None]:
        def hook(module: Any, arguments: Any, output: Any) -> None:
            outputs[layer] = output[0] if isinstance(output, tuple) else output

        return hook

    hooks = [module.register_forward_hook(record(layer)) for layer, module in _layers(model)]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def language_layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and modules of the language model's layers, in order."""
    for place, layer in enumerate(core(model).model.language_model.layers):
        yield f"language.{place}", layer


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    backbone = core(model).model
    for place, block in enumerate(backbone.visual.blocks):
        yield f"vision.{place}", block
    yield "merger", backbone.visual.merger
    yield from language_layers(model)


def _by_regions(output: Tensor, inputs: ModelInputs) -> Tensor:
    """Pool patches to rows x (regions x width) of each row's last image."""
    patches = inputs.image_grid_thw.prod(dim=1)
    lengths = (patches * len(output) // patches.sum()).tolist()  # the merger makes fewer of them
    images = output.split(lengths)
    last = (images[shown[-1]] for shown in inputs.images_of_row)
    return torch.stack([_means(image) for image in last])


def _means(image: Tensor) -> Tensor:
    parts = image.tensor_split(min(REGIONS, len(image)))
    return torch.cat([part.mean(dim=0) for part in parts])


def _at_last_token(output: Tensor, inputs: ModelInputs) -> Tensor:
    first_of_completion = inputs.completion_mask.long().argmax(dim=1)
    rows = torch.arange(len(output), device=output.device)
    return output[rows, first_of_completion - 1]
