"""A weight-transfer engine for vLLM that loads full weights from its caller's memory.

A server that is split over several GPUs has a process for each, which gets a copy of the weights.
vLLM packs weights for its kernels, so they cannot be overwritten in place: a layer-wise reload
unpacks each layer, loads it by checkpoint names and packs it again. Importing this module imports
vLLM.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from vllm.distributed.weight_transfer.base import (
    WeightTransferEngine,
    WeightTransferInitInfo,
    WeightTransferUpdateInfo,
)
from vllm.distributed.weight_transfer.factory import WeightTransferEngineFactory
from vllm.lora.request import LoRARequest
from vllm.model_executor.model_loader.reload import (
    finalize_layerwise_reload,
    initialize_layerwise_reload,
)

from physrl.protocols import Weights

BACKEND = "in_process"
WORKER_EXTENSION = f"{__name__}.WorkerExtension"


@dataclass
class InProcessInit(WeightTransferInitInfo):
    """Empty, since the weights are an argument of the update."""


@dataclass
class InProcessUpdate(WeightTransferUpdateInfo):
    """An update of all weights of the model."""

    weights: Weights


class InProcessWeightTransfer(WeightTransferEngine[InProcessInit, InProcessUpdate]):
    """Loads weights that are passed as arrays or tensors."""

    init_info_cls = InProcessInit
    update_info_cls = InProcessUpdate
    failure: str | None = None
    """Reason why the last update failed."""

    def init_transfer_engine(self, init_info: InProcessInit) -> None:
        """Do nothing: no connection is needed."""

    def start_weight_update(self) -> None:
        initialize_layerwise_reload(self.model)

    def update_weights(self, update_info: dict[str, Any]) -> None:
        # The inherited method synchronizes an accelerator and fails without one; the copies made
        # here are synchronous.
        self.receive_weights(self.parse_update_info(update_info))

    def receive_weights(self, update_info: InProcessUpdate) -> None:
        """Load all weights, and record a failure, such as of parameters that are missing."""
        expected = {name for name, _ in self.model.named_parameters()}
        try:
            loaded: set[str] = self.model.load_weights(_tensors(update_info.weights))
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
            return
        missing = sorted(expected - loaded)
        self.failure = (
            f"{len(missing)} parameters are missing, such as {missing[0]}" if missing else None
        )

    def finish_weight_update(self) -> None:
        if self.failure is None:
            finalize_layerwise_reload(self.model, self.model_config)

    def shutdown(self) -> None:
        """Do nothing: no resources are held."""


class WorkerExtension:
    """Methods that are added to vLLM's workers, and return failures instead of raising them.

    Of several workers that raise, vLLM reads one; it would take the others' failures for results of
    the next call. A process that vLLM starts imports this class by name, and so registers the
    engine above.
    """

    weight_transfer_engine: InProcessWeightTransfer
    add_lora: Callable[[LoRARequest], bool]

    def weight_sync_failure(self) -> str | None:
        """Return the reason why the last update of weights failed, or None if it did not."""
        return self.weight_transfer_engine.failure

    def adapter_failure(self, request: LoRARequest) -> str | None:
        """Load an adapter; return the reason if that is impossible."""
        try:
            self.add_lora(request)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return None


def _tensors(weights: Weights) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in weights.items():
        # Arrays from Ray's object store are read-only, so torch has to copy them.
        yield name, torch.tensor(value) if isinstance(value, np.ndarray) else value


WeightTransferEngineFactory.register_engine(BACKEND, InProcessWeightTransfer)
