"""What every layer of a Qwen-VL model holds when it is asked something."""

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
from physrl.types import Prompt, TrainingExample

REGIONS = 9
"""Parts of a picture whose patches are averaged: what is where stays, and a layer of any picture
has as many features."""
ROWS = 16
"""Prompts of one forward pass."""

Activations = dict[str, NDArray[np.float32]]
"""Prompts x features by layer, from the picture to the answer: `vision.0` ..., `merger`,
`language.0` ..."""


def collect_activations(model: Any, collator: Collator, prompts: Sequence[Prompt]) -> Activations:
    """Activations about each prompt's last picture, and at its last token, where the answer begins.

    Layers of the vision tower, and the merger behind them, are means over `REGIONS` runs of
    patches, one after the other; language layers are those of one token.

    Args:
        prompts: each of at least one picture, all of one size.
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
    """A model of the same shape with new random weights."""
    torch.manual_seed(seed)
    inner = core(model)
    return type(inner)(inner.config).to(next(inner.parameters()).device)


@contextmanager
def _recorded(model: Any) -> Iterator[dict[str, Tensor]]:
    """The output of every layer, in the order in which they run."""
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


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    backbone = core(model).model
    for place, block in enumerate(backbone.visual.blocks):
        yield f"vision.{place}", block
    yield "merger", backbone.visual.merger
    for place, layer in enumerate(backbone.language_model.layers):
        yield f"language.{place}", layer


def _by_regions(output: Tensor, inputs: ModelInputs) -> Tensor:
    """Patches of all pictures to rows x (regions x width) of the last picture that each shows."""
    patches = inputs.image_grid_thw.prod(dim=1)
    lengths = (patches * len(output) // patches.sum()).tolist()  # the merger makes fewer of them
    pictures = output.split(lengths)
    last = (pictures[images[-1]] for images in inputs.images_of_row)
    return torch.stack([_means(picture) for picture in last])


def _means(picture: Tensor) -> Tensor:
    parts = picture.tensor_split(min(REGIONS, len(picture)))
    return torch.cat([part.mean(dim=0) for part in parts])


def _at_last_token(output: Tensor, inputs: ModelInputs) -> Tensor:
    first_of_completion = inputs.completion_mask.long().argmax(dim=1)
    rows = torch.arange(len(output), device=output.device)
    return output[rows, first_of_completion - 1]
