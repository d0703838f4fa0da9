"""Log-probabilities of completion tokens, without B x T x V logits in memory."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from physrl.data.collate import ModelInputs
from physrl.models.token_scores import token_scores


def completion_logprobs(
    model: Any, inputs: ModelInputs, banned: Sequence[int], temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Compute the log-probability and entropy of every completion token.

    Args:
        model: a Qwen-VL model for conditional generation, with or without a PEFT wrapper.
        banned: token ids that cannot be sampled, with zero probability.
        temperature: divisor of the logits.

    Returns:
        Two E x C tensors, left-aligned and zero-padded, C the longest completion. Gradients flow
        through both; an entropy that no loss uses costs no backward pass.
    """
    hidden = last_hidden(model, inputs)
    rows, columns = inputs.completion_mask.nonzero(as_tuple=True)
    # The state before a token predicts it; a first token's is that of the prompt's last token.
    first = inputs.segments[rows, columns] != inputs.segments[rows, columns - 1]
    states = hidden[rows, columns - 1 - first * inputs.skipped[rows, columns]]
    tokens = inputs.input_ids[rows, columns]
    head = core(model).get_output_embeddings()
    logprobs, entropies = token_scores(head, states, tokens, banned, temperature)
    return _rows(logprobs, inputs), _rows(entropies, inputs)


def last_hidden(model: Any, inputs: ModelInputs) -> Tensor:
    """Compute the last layer's states, R x T x H; each prompt and each image once."""
    backbone = core(model).model
    features = backbone.get_image_features(
        inputs.pixel_values, inputs.image_grid_thw, return_dict=True
    )
    shown = [image for images in inputs.images_of_row for image in images]
    encoded: dict[str, Any] = {}
    if shown:
        encoded["mm_encoder_outputs"] = {"image": type(features)(**_gather_images(features, shown))}
    positions, _ = backbone.get_rope_index(
        inputs.input_ids,
        inputs.mm_token_type_ids,
        image_grid_thw=inputs.image_grid_thw[shown],
        attention_mask=inputs.attention_mask,
    )
    output = backbone(
        input_ids=inputs.input_ids,
        attention_mask=visible(inputs.segments),
        position_ids=positions - inputs.skipped,
        use_cache=False,
        **encoded,
    )
    hidden: Tensor = output.last_hidden_state
    # A rank whose rows have no image still has gradients, of zero, for the vision tower.
    return hidden if shown else hidden + 0.0 * _total(features)


def visible(segments: Tensor) -> Tensor:
    """Make the attention mask: R x 1 x T x T, bool, True where a token attends to another.

    A token attends to itself and the tokens before it in the prompt and its own completion. Padding
    attends to the prompt, because a softmax over nothing is NaN.
    """
    keys, queries = segments[:, None, :], segments[:, :, None]
    return (((keys == 0) | (keys == queries)).tril())[:, None]


def core(model: Any) -> Any:
    """Return the transformers model inside a PEFT wrapper, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _gather_images(features: Any, shown: list[int]) -> dict[str, Any]:
    """Repeat per-image features so that place i has image shown[i]."""
    images = features.pooler_output
    gathered: dict[str, Any] = {"pooler_output": [images[place] for place in shown]}
    deepstack = getattr(features, "deepstack_features", None)  # Qwen3-VL
    if deepstack is not None:
        gathered["deepstack_features"] = [[layer[place] for place in shown] for layer in deepstack]
    return gathered


def _total(features: Any) -> Tensor:
    layers = [features.pooler_output, *(getattr(features, "deepstack_features", None) or [])]
    return torch.stack([image.sum() for layer in layers for image in layer]).sum()


def _rows(flat: Tensor, inputs: ModelInputs) -> Tensor:
    """Arrange the tokens' values as rows, one per completion, zero-padded."""
    lengths = inputs.completion_lengths
    mask = torch.arange(int(lengths.max()), device=flat.device) < lengths[:, None]
    return flat.new_zeros(mask.shape).masked_scatter(mask, flat)
