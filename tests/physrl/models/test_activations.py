from pathlib import Path

import numpy as np
import torch

from physrl.config.model import LoRAConfig, ModelConfig
from physrl.data.collate import Collator
from physrl.models.activations import collect_activations, untrained_like
from physrl.models.loading import load_model
from physrl.models.logprobs import core
from physrl.models.processor import load_processor
from physrl.types import Prompt
from tests.support.images import random_image


def prompts(count: int) -> list[Prompt]:
    return [Prompt.ask(f"p/{n}", "Is it so? " * (1 + n % 3), random_image(n)) for n in range(count)]


def test_every_layer_of_every_family_is_recorded(family_checkpoint: Path) -> None:
    model = load_model(ModelConfig(path=str(family_checkpoint)))
    collator = Collator(load_processor(str(family_checkpoint)))
    found = collect_activations(model, collator, prompts(18))
    backbone = core(model).model
    vision, language = len(backbone.visual.blocks), len(backbone.language_model.layers)
    assert list(found) == [
        *(f"vision.{n}" for n in range(vision)),
        "merger",
        *(f"language.{n}" for n in range(language)),
    ]
    width = model.config.text_config.hidden_size
    assert found["merger"].shape == (18, 9 * width)
    assert found["language.0"].shape == (18, width)
    # A prompt's activations do not depend on what else is in the batch, or on padding.
    alone = collect_activations(model, collator, prompts(18)[4:5])
    for layer, values in found.items():
        assert np.allclose(values[4], alone[layer][0], atol=1e-4), layer


def test_the_last_layer_predicts_the_first_token() -> None:
    config = ModelConfig(lora=LoRAConfig(rank=2))
    model = load_model(config)
    collator = Collator(load_processor(config.path))
    (prompt,) = prompts(1)
    found = collect_activations(model, collator, [prompt])
    inner = core(model)
    normed = inner.model.language_model.norm(torch.tensor(found["language.2"]))
    first = inner.lm_head(normed).argmax().item()
    from physrl.models.generate import TransformersGenerator
    from physrl.protocols import Sampling

    generator = TransformersGenerator(model, load_processor(config.path))
    (generated,) = generator.generate([prompt], Sampling(1, 0.0, 4, 0))
    assert generated.completions[0].token_ids[0] == first
    new = collect_activations(untrained_like(model), collator, [prompt])
    assert {layer: v.shape for layer, v in new.items()} == {k: v.shape for k, v in found.items()}
    assert not np.allclose(new["vision.0"], found["vision.0"])
