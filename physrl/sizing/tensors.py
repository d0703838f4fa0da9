"""Bytes of a run's weights, optimizer state, key-value cache and checkpoints.

Weights, gradients and optimizer state are counted as in Rajbhandari et al. 2020 (arXiv 1910.02054,
section 3).
"""

from physrl.config.run import RunConfig
from physrl.sizing.model_size import ModelSize

WIDTHS = {"float32": 4, "bfloat16": 2}
"""Bytes of a number."""
NF4_BITS = 4.127
"""Bits of a 4-bit weight and its share of the double-quantized constants (Dettmers et al. 2023,
arXiv 2305.14314, section 3)."""
MOMENTS, MASTER = 8, 4
"""Bytes of a trained weight's AdamW moments, and of DeepSpeed's float32 copy of it."""


def zero_stage(config: RunConfig) -> int:
    """Return DeepSpeed's ZeRO stage; bfloat16 needs at least 2, which sums gradients in float32."""
    stage = config.runtime.zero_stage
    return max(stage, 2) if config.model.dtype == "bfloat16" else stage


def base_bytes(config: RunConfig, size: ModelSize) -> float:
    """Compute the bytes of the base model's weights."""
    width = WIDTHS[config.model.dtype]
    if config.model.quantization is None:
        return size.parameters * width
    return size.linear * NF4_BITS / 8 + (size.parameters - size.linear) * width


def optimizer_bytes(config: RunConfig, size: ModelSize) -> float:
    """Compute the bytes of AdamW's moments and, under ZeRO, float32 weights, over all ranks."""
    return size.trained * (MOMENTS + (MASTER if zero_stage(config) else 0))


def trained_bytes(config: RunConfig, size: ModelSize) -> float:
    """Compute the bytes of the trained weights on disk: an adapter, or the whole model."""
    return size.trained * WIDTHS[config.model.dtype]


def checkpoint_bytes(config: RunConfig, size: ModelSize) -> float:
    """Compute the bytes of a checkpoint: exported weights, DeepSpeed's copy, optimizer state.

    ZeRO stage 3 saves no weights besides the optimizer's own.
    """
    copies = 1 if zero_stage(config) == 3 else 2
    return copies * trained_bytes(config, size) + optimizer_bytes(config, size)


def cache_bytes_per_token(config: RunConfig, size: ModelSize) -> float:
    """Compute the bytes of one token's keys and values on each of a server's GPUs."""
    language = size.language
    whole = 2 * language.count * language.keys * WIDTHS[config.model.dtype]
    return whole / config.runtime.server_shards


def longest_sequence(config: RunConfig) -> int:
    """Count the tokens of the longest prompt and completion."""
    return config.model.max_prompt_tokens + config.model.max_completion_tokens
