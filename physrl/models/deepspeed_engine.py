"""A model under DeepSpeed: ZeRO stages, gloo on the CPU and NCCL on GPUs."""

import gc
import logging
import math
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import deepspeed
import torch
from deepspeed.runtime.base_optimizer import ZeROOptimizer
from deepspeed.runtime.zero.parameter_offload import FWD_MODULE_STACK
from deepspeed.utils import logger as deepspeed_logger
from torch import Tensor

from physrl.config.algorithm import OptimizationConfig
from physrl.config.runtime import Offload
from physrl.models.engine import make_optimizer, set_training_mode, trainable
from physrl.models.extension_locks import remove_stale_locks
from physrl.models.fragments import list_fragments, optimizer_state, spread_weights
from physrl.models.learner_state import read_state, write_state
from physrl.models.without_sklearn import without_sklearn

with without_sklearn():
    from peft import PeftModel

OFFLOADED = {"none": (), "optimizer": ("optimizer",), "all": ("optimizer", "param")}


def open_store(address: str, port: int, world_size: int, *, serves: bool) -> Any:
    """Open the store through which ranks find each other.

    Args:
        port: 0 for the rank that serves it: the system chooses a free port, which it then holds.
        serves: whether this rank serves the store.
    """
    return torch.distributed.TCPStore(
        address or "0.0.0.0", port, world_size, is_master=serves, wait_for_workers=False
    )


def join_ranks(rank: int, world_size: int, store: Any) -> None:
    """Join the process group of the ranks; once per process."""
    deepspeed_logger.setLevel(logging.WARNING)
    os.environ["LOCAL_RANK"] = "0"  # each process sees only its own device
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=world_size)
    adopt_ranks()


def adopt_ranks() -> None:
    """Use an existing process group, such as Ray Train's."""
    deepspeed_logger.setLevel(logging.WARNING)
    remove_stale_locks()  # the operator is loaded next
    deepspeed.init_distributed(auto_mpi_discovery=False, verbose=False)


class DeepSpeedEngine:
    """DeepSpeed's engine behind the `Engine` protocol.

    Scoring calls parts of the model, never DeepSpeed's own forward, so this class does what forward
    would do between micro-batches.
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
        """Free the model and the optimizer; the engine cannot be used afterwards."""
        self._engine.destroy()
        FWD_MODULE_STACK.clear()  # stage 3 keeps every model it has partitioned
        del self._engine, self.model
        gc.collect()  # both are reference cycles
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def backward(self, loss: Tensor, *, last: bool) -> None:
        # Without this sign of a new forward pass, stage 3 overwrites the gradient of the last
        # micro-batch instead of adding to it.
        if isinstance(self._engine.optimizer, ZeROOptimizer):
            self._engine.optimizer.clear_backward_seen_flag()
        # The number of micro-batches varies, so the boundary is set by hand.
        self._engine.set_gradient_accumulation_boundary(last)
        self._engine.backward(loss)

    def step(self, lr: float) -> float:
        for group in self._engine.optimizer.param_groups:
            group["lr"] = lr
        if isinstance(self._engine.optimizer, ZeROOptimizer):
            self._engine.step()  # drops updates whose norm is not finite
            return float(self._engine.get_global_grad_norm())
        norm = self._gradient_norm()
        if math.isfinite(norm):
            self._engine.step()
        else:
            self._engine.zero_grad()
        return norm

    def gathered(self, parameters: list[torch.nn.Parameter]) -> AbstractContextManager[None]:
        whole: AbstractContextManager[None] = deepspeed.zero.GatheredParameters(
            parameters, enabled=self._stage == 3
        )
        return whole

    def _gradient_norm(self) -> float:
        """Compute the norm before clipping, which DeepSpeed does not report without ZeRO."""
        gradients = [p.grad for p in trainable(self.model) if p.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients))

    def _keep_head_whole(self) -> None:
        """Gather the whole output head on every rank for the forward and the backward pass.

        Scoring reads the head's weight in tiles, and again in the backward pass, when stage 3 would
        have partitioned it. Every forward pass begins in the vision tower or the layers.
        """
        core = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        parameters = list(core.get_output_embeddings().parameters())
        for parameter in parameters:
            parameter.is_external_param = True  # not partitioned when a module is left

        def gather(*_: Any) -> None:
            if missing := [p for p in parameters if p.ds_status.name != "AVAILABLE"]:
                missing[0].all_gather(param_list=missing)

        core.model.register_forward_pre_hook(gather)

    def weights(self) -> Mapping[str, Tensor]:
        """Gather the trained weights on the CPU of the first rank, by `state_dict()` names.

        All weights, the tied head included, or under LoRA only the adapter's. Every rank calls it;
        all but the first return nothing.
        """
        adapters = isinstance(self.model, PeftModel)
        state = self.model.state_dict(keep_vars=True)
        wanted = {name: w for name, w in state.items() if "lora_" in name or not adapters}
        gathered: dict[int, Tensor] = {}
        for weight in {id(w): w for w in wanted.values()}.values():
            # One by one, so that the device holds at most one gathered weight.
            with deepspeed.zero.GatheredParameters([weight], enabled=self._stage == 3):
                if self.rank == 0:
                    gathered[id(weight)] = weight.detach().cpu().clone()
        return {name: gathered[id(w)] for name, w in wanted.items() if id(w) in gathered}

    def save(self, folder: Path) -> None:
        """Write this rank's part of the state that a resumed run needs; every rank calls it."""
        if self.rank > 0 and not isinstance(self._engine.optimizer, ZeROOptimizer):
            return  # without ZeRO every rank holds the same
        name = f"state-{self.rank:05d}-of-{self.world_size:05d}.safetensors"
        write_state(folder / name, list_fragments(self._engine), optimizer_state(self._engine))

    def load(self, folder: Path) -> None:
        """Restore the state that `save` wrote, whatever the stage and the number of ranks were.

        Raises:
            CheckpointError: the folder has no such state.
        """
        read_state(folder, list_fragments(self._engine), optimizer_state(self._engine))
        spread_weights(self._engine)


def _settings(
    model: Any, optimization: OptimizationConfig, zero_stage: int, offload: Offload
) -> dict[str, Any]:
    """Make DeepSpeed's configuration."""
    half = next(model.parameters()).dtype == torch.bfloat16
    settings: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": optimization.max_grad_norm,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "zero_optimization": {
            # Stage 2 sums bfloat16 gradients in float32; DeepSpeed 0.19 refuses to in stage 0 and
            # sums wrongly in stage 1.
            "stage": max(zero_stage, 2) if half else zero_stage,
            "overlap_comm": False,
            **{f"offload_{part}": {"device": "cpu"} for part in OFFLOADED[offload]},
        },
    }
    if half:
        settings |= {"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}}
    return settings
