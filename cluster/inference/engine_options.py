"""Options with which a vLLM engine starts, from the configuration."""

from typing import Any

from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.models.processor import image_size, largest_side

CPU_BLOCK_SIZE = 32
"""Tokens of a block of the KV cache; the default of 128 excludes short prompts from the prefix
cache."""
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Maximum ranks that vLLM offers for its adapter slots."""


def engine_options(
    model: ModelConfig, runtime: RuntimeConfig, processor: Any, *, seed: int, max_adapters: int
) -> dict[str, Any]:
    """Return the arguments of `vllm.LLM`, before those of `runtime.vllm`.

    Args:
        processor: the processor of the model.
        max_adapters: largest number of adapters that share a batch.
    """
    from cluster.weights import in_process

    return {
        "model": model.path,
        "revision": model.revision,
        "tokenizer_revision": model.revision,
        "dtype": model.dtype,
        "seed": seed,
        "kv_cache_memory_bytes": runtime.kv_cache_mb << 20,
        "max_num_seqs": runtime.max_num_seqs,
        "max_model_len": model.max_prompt_tokens + model.max_completion_tokens,
        "limit_mm_per_prompt": {"image": _image_limit(model, processor), "video": 0},
        # Every step has new images, of which vLLM would keep 4 GB, preprocessed.
        "mm_processor_cache_gb": 0,
        "mm_processor_kwargs": {"size": image_size(model, processor.image_processor.size)},
        "logprobs_mode": "processed_logprobs",
        "weight_transfer_config": {"backend": in_process.BACKEND},
        "worker_extension_cls": in_process.WORKER_EXTENSION,
        "tensor_parallel_size": runtime.tensor_parallel_size,
        # Inside a placement group, vLLM's default would be to take the whole group.
        "distributed_executor_backend": "mp" if runtime.server_shards > 1 else "uni",
        **_device_options(model, runtime),
        **_lora_options(model, max_adapters),
    }


def _image_limit(model: ModelConfig, processor: Any) -> dict[str, int]:
    """Return the most images of a prompt, and the sides of those that vLLM tries at its start.

    Its own choice are images of 16,384 tokens, which no prompt has room for; on a CPU they take
    many minutes.
    """
    side = largest_side(model, processor)
    return {"count": model.max_images, "width": side, "height": side}


def _device_options(model: ModelConfig, runtime: RuntimeConfig) -> dict[str, Any]:
    if runtime.gpus_per_server:
        return {
            "enable_sleep_mode": runtime.layout == "colocated",
            "gpu_memory_utilization": memory_share(model, runtime, _gpu_bytes()),
        }
    longest = model.max_prompt_tokens + model.max_completion_tokens
    return {
        "enforce_eager": True,
        "block_size": CPU_BLOCK_SIZE,
        # Seeded requests crash on CPU if a prefill is chunked, so that none may be.
        "max_num_batched_tokens": runtime.max_num_seqs * longest,
    }


def memory_share(model: ModelConfig, runtime: RuntimeConfig, total: float) -> float:
    """Return the share of a GPU's memory that a server needs, by the account of `physrl doctor`.

    vLLM does not start unless this share is free. Its default of 0.92 leaves no room for another
    server on the same GPU, or for a learner rank.
    """
    from physrl.sizing.footprint import server_footprint
    from physrl.sizing.model_size import model_size

    needed = server_footprint(model, runtime, model_size(model)).device_bytes
    return min(1.0, needed / total)


def _gpu_bytes() -> int:
    import torch

    total: int = torch.cuda.get_device_properties(0).total_memory
    return total


def _lora_options(model: ModelConfig, max_adapters: int) -> dict[str, Any]:
    if model.lora is None:
        return {}
    return {
        "enable_lora": True,
        "max_loras": max_adapters,
        "max_lora_rank": next((r for r in LORA_RANKS if r >= model.lora.rank), model.lora.rank),
        # Without it, vLLM ignores an adapter's weights for the vision tower and projector.
        "enable_tower_connector_lora": model.lora.vision or model.lora.projector,
    }
