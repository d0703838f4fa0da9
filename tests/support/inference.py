"""Random checkpoints for inference servers, prompts for them, and the learner's own scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft import get_peft_model

from physrl.config.model import LoRAConfig
from physrl.data.collate import Collator
from physrl.models.loading import peft_config
from physrl.models.logprobs import completion_logprobs
from physrl.models.tiny import IMAGE_SIZE, TAGS, build_tiny
from physrl.protocols import Sampling
from physrl.training_records import TrainingExample
from physrl.types import Generation, Prompt

QUESTION = "Will any block fall?"
GREEDY = Sampling(group_size=1, temperature=0, max_tokens=8, seed=0)


def build_random(seed: int, heads: int = 3, key_heads: int = 1) -> tuple[Any, Any]:
    """Build a model and its processor; see `randomize`."""
    texts = [QUESTION, "user assistant", *TAGS]
    model, processor = build_tiny(texts, 0, heads, key_heads)
    randomize(model, seed)
    return model.eval(), processor


def randomize(model: torch.nn.Module, seed: int) -> None:
    """Add noise so large that answers depend on the image, and differ by nats between seeds."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)


def random_adapter(model: Any, lora: LoRAConfig, seed: int) -> Any:
    """Wrap a model in an adapter with random weights, so that it changes the answers."""
    config = peft_config(lora, model)
    config.init_lora_weights = False
    torch.manual_seed(seed)
    return get_peft_model(model, config).eval()


def image_prompts(count: int, question: str = QUESTION) -> list[Prompt]:
    """Make prompts about different random images."""
    rng = np.random.default_rng(count)
    shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
    return [
        Prompt.ask(f"image-{index}", question, rng.integers(0, 256, shape, dtype=np.uint8))
        for index in range(count)
    ]


def learner_logprobs(
    model: Any,
    collator: Collator,
    prompts: Sequence[Prompt],
    generations: Sequence[Generation],
    temperature: float = 1.0,
) -> NDArray[np.float64]:
    """Compute the learner's log-probability of every sampled token, flat."""
    examples = [
        TrainingExample(prompt, completion.token_ids)
        for prompt, generation in zip(prompts, generations, strict=True)
        for completion in generation.completions
    ]
    with torch.no_grad():
        rows, _ = completion_logprobs(
            model, collator(examples), collator.banned_token_ids, temperature
        )
    lengths = [len(example.completion_ids) for example in examples]
    return np.concatenate([row[:n].numpy() for row, n in zip(rows, lengths, strict=True)])


def sampled_logprobs(generations: Sequence[Generation]) -> NDArray[np.float64]:
    """Return the sampler's log-probabilities of every token, flat."""
    return np.concatenate([c.logprobs for group in generations for c in group.completions])
