"""Merging of an adapter into its base: plain weights that transformers and vLLM load."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from physrl.config.model import ModelConfig
from physrl.data.collate import Collator
from physrl.errors import GenerationError
from physrl.models.loading import load_model
from physrl.models.logprobs import completion_logprobs
from physrl.models.processor import configured_processor
from physrl.training_records import TrainingExample
from physrl.types import Prompt

LARGEST = {"float32": 1e-3, "bfloat16": 0.1}
"""Largest mean difference in nats per token between the merged model and the original: rounding."""
COMPLETION = "<answer>150</answer>"


def merge(model: ModelConfig, folder: Path) -> float:
    """Write the plain weights of a model, with its adapter merged, and compare what was written.

    Returns:
        The mean difference of a token's log-probability between both, in nats.

    Raises:
        GenerationError: the written model scores otherwise.
    """
    processor = configured_processor(model)
    collator = Collator(processor)
    original = load_model(model)
    before = _score(original, collator)
    # float32 first: sums in bfloat16 would lose the smaller part of each weight.
    whole = original.float()
    merged = whole.merge_and_unload() if model.lora is not None else whole
    merged.to(getattr(torch, model.dtype)).save_pretrained(folder)
    processor.save_pretrained(folder)
    del original, whole, merged
    written = model.base.model_copy(update={"path": str(folder), "revision": None})
    difference = float((_score(load_model(written), collator) - before).abs().mean())
    if not difference <= LARGEST[model.dtype]:
        raise GenerationError(
            f"the merged model in {folder} scores otherwise than the original, by {difference:.3g} "
            "nats per token: delete it, and merge in float32"
        )
    return difference


def _score(model: Any, collator: Collator) -> torch.Tensor:
    """Score an answer to a question about made-up images."""
    images = np.random.default_rng(0).integers(0, 256, (3, 84, 84, 3), np.uint8)
    target = collator.completion_ids(COMPLETION)
    examples = [
        TrainingExample(Prompt.ask(str(index), "How far?", image), target)
        for index, image in enumerate(images)
    ]
    model.eval()
    with torch.no_grad():
        scores, _ = completion_logprobs(model, collator(examples), collator.banned_token_ids, 1.0)
    return scores.float()
