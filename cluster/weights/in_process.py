"""A weight-transfer engine for vLLM that loads full weights from this process's memory.

vLLM packs weights for its kernels, so they cannot be overwritten in place: a layer-wise reload
unpacks each layer, loads it by checkpoint names and packs it again. Importing this module imports
vLLM.
"""

from collections.abc import Iterator
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
from vllm.model_executor.model_loader.reload import (
    finalize_layerwise_reload,
    initialize_layerwise_reload,
)

from physrl.errors import GenerationError
from physrl.protocols import Weights

BACKEND = "in_process"


@dataclass
class InProcessInit(WeightTransferInitInfo):
    """Empty, since sender and receiver share a process."""


@dataclass
class InProcessUpdate(WeightTransferUpdateInfo):
    """An update of all weights of the model."""

    weights: Weights


class InProcessWeightTransfer(WeightTransferEngine[InProcessInit, InProcessUpdate]):
    """Loads weights that are already in this process's memory."""

    init_info_cls = InProcessInit
    update_info_cls = InProcessUpdate

    def init_transfer_engine(self, init_info: InProcessInit) -> None:
        """Do nothing: no connection is needed."""

    def start_weight_update(self) -> None:
        initialize_layerwise_reload(self.model)

    def update_weights(self, update_info: dict[str, Any]) -> None:
        # The inherited method synchronizes an accelerator and fails without one; the copies made
        # here are synchronous.
        self.receive_weights(self.parse_update_info(update_info))

    def receive_weights(self, update_info: InProcessUpdate) -> None:
        """Load all weights.

        Raises:
            GenerationError: some parameters are missing, and would have kept their old values.
        """
        expected = {name for name, _ in self.model.named_parameters()}
        loaded: set[str] = self.model.load_weights(_tensors(update_info.weights))
        if missing := sorted(expected - loaded):
            raise GenerationError(
                f"weight sync: {len(missing)} parameters are missing, such as {missing[0]}"
            )

    def finish_weight_update(self) -> None:
        finalize_layerwise_reload(self.model, self.model_config)

    def shutdown(self) -> None:
        """Do nothing: no resources are held."""


def _tensors(weights: Weights) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in weights.items():
        # Arrays from Ray's object store are read-only, so torch has to copy them.
        yield name, torch.tensor(value) if isinstance(value, np.ndarray) else value


WeightTransferEngineFactory.register_engine(BACKEND, InProcessWeightTransfer)
