"""A model under DeepSpeed: ZeRO stages, gloo on the CPU and NCCL on GPUs."""

import gc
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import deepspeed
import torch
from deepspeed.runtime.base_optimizer import ZeROOptimizer
from deepspeed.runtime.zero.parameter_offload import FWD_MODULE_STACK
from deepspeed.utils import logger as deepspeed_logger
from peft import PeftModel
from torch import Tensor

from physrl.config.algorithm import OptimizationConfig
from physrl.config.runtime import Offload
from physrl.errors import CheckpointError
from physrl.models.engine import make_optimizer, set_training_mode, trainable

TAG = "state"
OFFLOADED = {"none": (), "optimizer": ("optimizer",), "all": ("optimizer", "param")}


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


def adopt_ranks() -> None:
    """Go on with ranks that have met, such as Ray Train's."""
    deepspeed_logger.setLevel(logging.WARNING)
    deepspeed.init_distributed(auto_mpi_discovery=False, verbose=False)


class DeepSpeedEngine:
    """DeepSpeed's engine behind the `Engine` protocol.

    Scoring calls parts of the model, and never DeepSpeed's own forward; what that would do between
    micro-batches is done here.
    """

    def __init__(
        self,
        model: Any,
        optimization: OptimizationConfig,
        zero_stage: int,
        offload: Offload = "none",
    ) -> None:
        self.rank = torch.distributed.get_rank()
        self.world_size = torch.distributed.get_world_size()
        self._stage = zero_stage
        set_training_mode(model, optimization)
        self._engine, *_ = deepspeed.initialize(
            model=model,
            model_parameters=trainable(model),
            optimizer=make_optimizer(model, optimization),
            dist_init_required=False,
            config=_settings(model, optimization, zero_stage, offload),
        )
        self.model = self._engine.module
        if zero_stage == 3:
            self._keep_head_whole()

    def close(self) -> None:
        """Free the model and the optimizer; the engine is of no use afterwards."""
        self._engine.destroy()
        FWD_MODULE_STACK.clear()  # stage 3 remembers every model that it split
        del self._engine, self.model
        gc.collect()  # both refer to themselves
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def backward(self, loss: Tensor, *, last: bool) -> None:
        # Until ZeRO is told of a new forward pass, stage 3 writes this micro-batch's gradient over
        # the last one's instead of adding it.
        if isinstance(self._engine.optimizer, ZeROOptimizer):
            self._engine.optimizer.clear_backward_seen_flag()
        # One optimizer step takes any number of micro-batches, so the boundary is set by hand.
        self._engine.set_gradient_accumulation_boundary(last)
        self._engine.backward(loss)

    def step(self, lr: float) -> float:
        for group in self._engine.optimizer.param_groups:
            group["lr"] = lr
        if isinstance(self._engine.optimizer, ZeROOptimizer):
            self._engine.step()  # drops the update itself where the norm is not finite
            return float(self._engine.get_global_grad_norm())
        norm = self._gradient_norm()
        if math.isfinite(norm):
            self._engine.step()
        else:
            self._engine.zero_grad()
        return norm

    def _gradient_norm(self) -> float:
        """Before clipping; without ZeRO, DeepSpeed clips but does not tell."""
        gradients = [p.grad for p in trainable(self.model) if p.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients))

    def _keep_head_whole(self) -> None:
        """Have every rank hold all of the output head while it computes.

        Scoring reads the head's weight, in pieces and again on the way back, where stage 3 would
        long have split it. Every forward pass begins with the picture tower or the layers.
        """
        core = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        parameters = list(core.get_output_embeddings().parameters())
        for parameter in parameters:
            parameter.is_external_param = True  # leaving a module does not split it again

        def gather(*_: Any) -> None:
            if missing := [p for p in parameters if p.ds_status.name != "AVAILABLE"]:
                missing[0].all_gather(param_list=missing)

        core.model.register_forward_pre_hook(gather)

    def weights(self) -> Mapping[str, Tensor]:
        """What is trained, on the CPU of the first rank, by its `state_dict()` names.

        All weights, the tied head included, or under LoRA the adapters' alone. Every rank takes
        part in gathering them; all but the first return nothing.
        """
        adapters = isinstance(self.model, PeftModel)
        state = self.model.state_dict(keep_vars=True)
        wanted = {name: w for name, w in state.items() if "lora_" in name or not adapters}
        gathered: dict[int, Tensor] = {}
        for weight in {id(w): w for w in wanted.values()}.values():
            # One by one: the device never holds more than one that stage 3 has split.
            with deepspeed.zero.GatheredParameters([weight], enabled=self._stage == 3):
                if self.rank == 0:
                    gathered[id(weight)] = weight.detach().cpu().clone()
        return {name: gathered[id(w)] for name, w in wanted.items() if id(w) in gathered}

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


def _settings(
    model: Any, optimization: OptimizationConfig, zero_stage: int, offload: Offload
) -> dict[str, Any]:
    """DeepSpeed's configuration."""
    half = next(model.parameters()).dtype == torch.bfloat16
    settings: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": optimization.max_grad_norm,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "zero_optimization": {
            # Micro-batches' bfloat16 gradients are summed in float32; below stage 2 DeepSpeed 0.19
            # refuses to (0) or sums them wrongly (1).
            "stage": max(zero_stage, 2) if half else zero_stage,
            "overlap_comm": False,
            **{f"offload_{part}": {"device": "cpu"} for part in OFFLOADED[offload]},
        },
    }
    if half:
        settings |= {"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}}
    return settings
