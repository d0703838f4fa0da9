"""Dequantization of a quantized base into a checkpoint that vLLM can load."""

from pathlib import Path

import ray

from cluster.runtime.placement import RANK_CPUS, Placement
from physrl.config.model import ModelConfig


def served_model(model: ModelConfig, placement: Placement, folder: Path) -> ModelConfig:
    """Return the model that servers load: the base, or a dequantized copy of it.

    vLLM 0.32 cannot load bitsandbytes weights, so a copy of a quantized base is written into
    `folder`, on the GPU that a learner rank will use.
    """
    if model.quantization is None:
        return model
    task = ray.remote(_dequantize).options(
        num_cpus=RANK_CPUS,
        num_gpus=placement.rank_gpus,
        scheduling_strategy=placement.rank(0),
    )
    ray.get(task.remote(model, folder))
    return model.model_copy(update={"path": str(folder), "revision": None})


def _dequantize(model: ModelConfig, folder: Path) -> None:
    from physrl.models.loading import save_dequantized  # imports torch

    save_dequantized(model, folder)
