"""Estimated bytes of a micro-batch's activations.

Estimated from what autograd keeps of a layer, as in Korthikanti et al. 2022 (arXiv 2205.05198,
section 4), for transformer layers with fused attention.
"""

import math

from physrl.config.run import RunConfig
from physrl.sizing.model_size import Layers, ModelSize
from physrl.sizing.tensors import WIDTHS, longest_sequence
from physrl.tasks import TASKS

MERGED = 4
"""Patches of an image that become one token, in all families."""
TILES = {0: 1 << 22, 1: 1 << 25}
"""Logits held at once, without and with a GPU."""


def activation_bytes(config: RunConfig, size: ModelSize) -> float:
    """Estimate the activations that a micro-batch's backward pass needs, and a tile of logits."""
    patches = _images(config) * _patches(config, size)
    kept = _stack_bytes(config, size.language, _tokens(config))
    lora = config.model.lora
    if lora is None or lora.vision:
        kept += _stack_bytes(config, size.vision, patches)
    else:  # autograd keeps nothing of layers without trained weights
        kept += patches * layer_bytes_per_token(size.vision, config.model.dtype)
    return kept + 4 * TILES[config.runtime.gpus_per_rank]


def layer_bytes_per_token(layers: Layers, dtype: str) -> float:
    """Estimate the bytes that autograd keeps of one token, or patch, in one layer.

    Hidden width: 6 (inputs, normalized inputs and outputs of two norms). Queries: 2. Keys and
    values: 1 each. MLP: 4 (gate, activated gate, other half, their product). In half precision
    the norms compute on a float32 copy.
    """
    numbers = 6 * layers.hidden + 2 * layers.queries + 2 * layers.keys + 4 * layers.intermediate
    copies = 4 * layers.hidden if dtype == "bfloat16" else 0
    return numbers * WIDTHS[dtype] + copies


def _stack_bytes(config: RunConfig, layers: Layers, tokens: float) -> float:
    """Estimate the bytes of all layers and one in progress; with checkpointing, inputs and two."""
    layer = layer_bytes_per_token(layers, config.model.dtype)
    if not config.model.gradient_checkpointing:
        return tokens * layer * (layers.count + 1)
    inputs = layers.hidden * WIDTHS[config.model.dtype]
    return tokens * (inputs * layers.count + 2 * layer)


def _attempts(config: RunConfig) -> int:
    """Return the largest number of attempts of a trained task."""
    if config.questions is not None:
        return 1
    return max(TASKS[task].attempts for task in config.tasks)


def _patches(config: RunConfig, size: ModelSize) -> int:
    """Return the patches of an image, or a bound for images of the user's own."""
    if config.questions is not None:
        return config.model.max_prompt_tokens * MERGED
    return (config.environment.image_size // size.patch) ** 2


def _tokens(config: RunConfig) -> int:
    """Bound the tokens of one micro-batch; a row that is longer than the budget goes alone."""
    algorithm, longest = config.algorithm, longest_sequence(config)
    rows = algorithm.completions_per_step * _attempts(config)
    share = math.ceil(rows / (algorithm.updates_per_rollout * config.runtime.learner_ranks))
    return min(max(config.runtime.tokens_per_micro_batch, longest), share * longest)


def _images(config: RunConfig) -> int:
    """Bound the images of one micro-batch."""
    rows = math.ceil(_tokens(config) / longest_sequence(config))
    attempts = _attempts(config)
    # After a first attempt, every row shows images of its own.
    return math.ceil(rows / config.algorithm.group_size) if attempts == 1 else rows * attempts
