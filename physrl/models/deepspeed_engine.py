"""A model under DeepSpeed: ZeRO stages, gloo on the CPU and NCCL on GPUs."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import deepspeed
import torch
from deepspeed.utils import logger as deepspeed_logger
from peft import PeftModel
from torch import Tensor

from physrl.config.algorithm import OptimizationConfig
from physrl.errors import CheckpointError
from physrl.models.engine import make_optimizer, trainable

TAG = "state"


def join_ranks(rank: int, world_size: int, address: str, port: int) -> None:
    """Meet the other ranks; once a process."""
    deepspeed_logger.setLevel(logging.WARNING)
    os.environ["LOCAL_RANK"] = "0"  # each process sees its own device alone
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    deepspeed.init_distributed(
        dist_backend=backend,
        auto_mpi_discovery=False,
        init_method=f"tcp://{address}:{port}",
        rank=rank,
        world_size=world_size,
        verbose=False,
    )


class DeepSpeedEngine:
    """DeepSpeed's engine behind the `Engine` protocol."""

    def __init__(self, model: Any, optimization: OptimizationConfig, zero_stage: int) -> None:
        self.rank = torch.distributed.get_rank()
        self.world_size = torch.distributed.get_world_size()
        self._stage = zero_stage
        dtype = next(model.parameters()).dtype
        self._engine, *_ = deepspeed.initialize(
            model=model,
            model_parameters=trainable(model),
            optimizer=make_optimizer(model, optimization),
            dist_init_required=False,
            config={
                "train_micro_batch_size_per_gpu": 1,
                "gradient_accumulation_steps": 1,
                "gradient_clipping": optimization.max_grad_norm,
                "bf16": {"enabled": dtype == torch.bfloat16},
                "zero_allow_untested_optimizer": True,
                "zero_force_ds_cpu_optimizer": False,
                "zero_optimization": {"stage": zero_stage, "overlap_comm": False},
            },
        )
        self.model = self._engine.module

    def backward(self, loss: Tensor, *, last: bool) -> None:
        # One optimizer step takes any number of micro-batches, so the boundary is set by hand.
        self._engine.set_gradient_accumulation_boundary(last)
        self._engine.backward(loss)

    def step(self, lr: float) -> float:
        for group in self._engine.optimizer.param_groups:
            group["lr"] = lr
        norm = self._gradient_norm() if self._stage == 0 else None
        self._engine.step()
        return float(self._engine.get_global_grad_norm()) if norm is None else norm

    def _gradient_norm(self) -> float:
        """Before clipping; without ZeRO, DeepSpeed clips but does not tell."""
        gradients = [p.grad for p in trainable(self.model) if p.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients))

    def weights(self) -> Mapping[str, Tensor]:
        """What is trained, on the CPU, by its `state_dict()` names; every rank takes part.

        All weights, the tied head included, or under LoRA the adapters' alone.
        """
        with deepspeed.zero.GatheredParameters(trainable(self.model), enabled=self._stage == 3):
            weights = {name: w.detach().cpu() for name, w in self.model.state_dict().items()}
            if isinstance(self.model, PeftModel):
                return {name: w.clone() for name, w in weights.items() if "lora_" in name}
            # Gathered weights are freed on leaving; elsewhere they need no copy.
            return {name: w.clone() for name, w in weights.items()} if self._stage == 3 else weights

    def save(self, folder: Path) -> None:
        """Write what a resumed run needs; every rank takes part."""
        self._engine.save_checkpoint(str(folder), tag=TAG, exclude_frozen_parameters=True)

    def load(self, folder: Path) -> None:
        """Continue from what `save` wrote.

        Raises:
            CheckpointError: there is no state in the folder.
        """
        path, _ = self._engine.load_checkpoint(
            str(folder),
            tag=TAG,
            load_module_strict=False,  # frozen weights are the base model's
        )
        if path is None:
            raise CheckpointError(
                f"DeepSpeed found no state in {folder}: use an earlier checkpoint"
            )
