"""The size of a model, from its config.json alone."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from physrl.config.model import ModelConfig
from physrl.models.loading import target_modules


@dataclass(frozen=True, slots=True)
class Layers:
    """A stack of identical transformer layers."""

    count: int
    hidden: int
    queries: int
    """Total width of the queries."""
    keys: int
    """Total width of the keys, and that of the values."""
    intermediate: int
    """Width of the MLP."""


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Parameter counts and layer dimensions of a model."""

    parameters: int
    """Parameters of the base model; a tied output head counts once."""
    trained: int
    """Trained parameters: the adapters', or the base model's."""
    linear: int
    """Parameters that are quantized: of linear layers except the output head."""
    head: int
    """Parameters of the output head."""
    language: Layers
    vision: Layers
    patch: int
    """Side of an image patch, in pixels."""


def model_size(config: ModelConfig) -> ModelSize:
    """Build the model without memory for its weights, and count its parameters."""
    architecture = AutoConfig.from_pretrained(config.path)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(architecture)
    return count(model, config)


def count(model: Any, config: ModelConfig) -> ModelSize:
    """Count the parameters of a model on any device."""
    modules = dict(model.named_modules())
    head = model.get_output_embeddings()
    linear = [m for m in modules.values() if isinstance(m, torch.nn.Linear) and m is not head]
    parameters = sum(parameter.numel() for parameter in model.parameters())
    trained = parameters
    if config.lora is not None:
        # An adapter of rank r on a layer from n to m is two matrices, r x n and m x r.
        targets = [modules[name] for name in target_modules(config.lora, model)]
        widths = sum(layer.in_features + layer.out_features for layer in targets)
        trained = config.lora.rank * widths
    return ModelSize(
        parameters=parameters,
        trained=trained,
        linear=sum(layer.weight.numel() for layer in linear),
        head=head.weight.numel(),
        language=_language(model.model.language_model.layers),
        vision=_vision(model.model.visual.blocks),
        patch=model.config.vision_config.patch_size,
    )


def _language(layers: Any) -> Layers:
    attention, mlp = layers[0].self_attn, layers[0].mlp
    return Layers(
        len(layers),
        attention.q_proj.in_features,
        attention.q_proj.out_features,
        attention.k_proj.out_features,
        mlp.gate_proj.out_features,
    )


def _vision(blocks: Any) -> Layers:
    width = blocks[0].attn.qkv.in_features
    first = next(m for m in blocks[0].mlp.modules() if isinstance(m, torch.nn.Linear))
    return Layers(len(blocks), width, width, width, first.out_features)
