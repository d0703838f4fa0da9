"""The checkpoint that servers load: a copy in plain weights where the base is quantized."""

from pathlib import Path

import ray

from cluster.runtime.placement import RANK_CPUS, Placement
from physrl.config.model import ModelConfig


def served_model(model: ModelConfig, placement: Placement, folder: Path) -> ModelConfig:
    """Return the model that servers load.

    vLLM 0.32 reads no bitsandbytes: of a quantized base a copy is written into `folder`, on a GPU
    that a learner rank will have.
    """
    if model.quantization is None:
        return model
    task = ray.remote(_dequantize).options(
        num_cpus=RANK_CPUS,
        num_gpus=placement.rank_gpus,
        scheduling_strategy=placement.rank(0),
    )
    ray.get(task.remote(model, folder))
    return model.model_copy(update={"path": str(folder)})


def _dequantize(model: ModelConfig, folder: Path) -> None:
    from physrl.models.loading import save_dequantized  # heavy, and the driver needs none of it

    save_dequantized(model, folder)
