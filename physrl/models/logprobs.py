"""Log-probabilities of completion tokens without ever holding B x T x V logits."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from physrl.data.collate import ModelInputs, gather_completions

CHUNK = 2048
"""Tokens whose logits are held at once."""


def completion_logprobs(
    model: Any, inputs: ModelInputs, banned: Sequence[int], temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy of every completion token.

    Args:
        model: a Qwen-VL model for conditional generation, bare or wrapped by PEFT.
        banned: token ids that the sampler could not choose; they carry no probability.
        temperature: what the sampler divided its logits by.

    Returns:
        Two B x C tensors, left-aligned and zero-padded, C the longest completion. The entropy
        carries no gradient.
    """
    hidden = last_hidden(model, inputs)
    # The state before a token predicts it.
    states = hidden[:, :-1][inputs.completion_mask[:, 1:]]
    tokens = inputs.input_ids[inputs.completion_mask]
    head = core(model).get_output_embeddings()
    logprobs, entropies = [], []
    for start in range(0, len(tokens), CHUNK):
        part = slice(start, start + CHUNK)
        logprob, entropy = checkpoint(
            _score, head, states[part], tokens[part], list(banned), temperature, use_reentrant=False
        )
        logprobs.append(logprob)
        entropies.append(entropy)
    return _rows(torch.cat(logprobs), inputs), _rows(torch.cat(entropies), inputs)


def last_hidden(model: Any, inputs: ModelInputs) -> Tensor:
    """The last layer's states, B x T x H; each picture is encoded once."""
    backbone = core(model).model
    features = backbone.get_image_features(
        inputs.pixel_values, inputs.image_grid_thw, return_dict=True
    )
    shown = [image for images in inputs.images_of_row for image in images]
    pictures: dict[str, Any] = {}
    if shown:
        pictures = {
            "image_grid_thw": inputs.image_grid_thw[shown],
            "mm_encoder_outputs": {"image": type(features)(**_gather_images(features, shown))},
        }
    output = backbone(
        input_ids=inputs.input_ids,
        attention_mask=inputs.attention_mask,
        mm_token_type_ids=inputs.mm_token_type_ids,
        use_cache=False,
        **pictures,
    )
    hidden: Tensor = output.last_hidden_state
    # A rank whose rows show no picture still has gradients, of zero, for the vision tower.
    return hidden if shown else hidden + 0.0 * _total(features)


def core(model: Any) -> Any:
    """The transformers model inside a PEFT wrapper, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _gather_images(features: Any, shown: list[int]) -> dict[str, Any]:
    """Repeat per-picture features so that place i shows picture shown[i]."""
    pictures = features.pooler_output
    gathered: dict[str, Any] = {"pooler_output": [pictures[place] for place in shown]}
    deepstack = getattr(features, "deepstack_features", None)  # Qwen3-VL
    if deepstack is not None:
        gathered["deepstack_features"] = [[layer[place] for place in shown] for layer in deepstack]
    return gathered


def _total(features: Any) -> Tensor:
    layers = [features.pooler_output, *(getattr(features, "deepstack_features", None) or [])]
    return torch.stack([picture.sum() for layer in layers for picture in layer]).sum()


def _score(
    head: torch.nn.Module, states: Tensor, tokens: Tensor, banned: list[int], temperature: float
) -> tuple[Tensor, Tensor]:
    logits = head(states).float() / temperature
    if banned:
        logits = logits.index_fill(1, torch.tensor(banned, device=logits.device), -torch.inf)
    normal = logits.log_softmax(dim=-1)
    with torch.no_grad():
        entropy = torch.special.entr(normal.exp()).sum(dim=-1)
    return normal.gather(1, tokens[:, None]).squeeze(1), entropy


def _rows(flat: Tensor, inputs: ModelInputs) -> Tensor:
    dense = flat.new_zeros(inputs.completion_mask.shape)
    dense[inputs.completion_mask] = flat
    return gather_completions(dense, inputs.completion_mask)
