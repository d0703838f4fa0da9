"""How full weights enter a running vLLM engine: through its own weight-transfer interface.

vLLM packs weights for its kernels, so they cannot be written in place: a layer-wise reload unpacks
each layer, loads it by checkpoint names and packs it again. Importing this module imports vLLM.
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
    """Nothing to agree on: sender and receiver share a process."""


@dataclass
class InProcessUpdate(WeightTransferUpdateInfo):
    """All weights of the model."""

    weights: Weights


class InProcessWeightTransfer(WeightTransferEngine[InProcessInit, InProcessUpdate]):
    """Loads weights that are already in this process's memory."""

    init_info_cls = InProcessInit
    update_info_cls = InProcessUpdate

    def init_transfer_engine(self, init_info: InProcessInit) -> None:
        """No connection is needed."""

    def start_weight_update(self) -> None:
        initialize_layerwise_reload(self.model)

    def update_weights(self, update_info: dict[str, Any]) -> None:
        # The inherited method synchronizes an accelerator and fails where there is none; the
        # copies made here are synchronous.
        self.receive_weights(self.parse_update_info(update_info))

    def receive_weights(self, update_info: InProcessUpdate) -> None:
        """Load all weights.

        Raises:
            GenerationError: some parameters were not among them and would have kept old values.
        """
        expected = {name for name, _ in self.model.named_parameters()}
        loaded: set[str] = self.model.load_weights(_tensors(update_info.weights))
        if missing := sorted(expected - loaded):
            raise GenerationError(
                f"a weight sync left out {len(missing)} parameters, such as {missing[0]}"
            )

    def finish_weight_update(self) -> None:
        finalize_layerwise_reload(self.model, self.model_config)

    def shutdown(self) -> None:
        """Nothing is held."""


def _tensors(weights: Weights) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in weights.items():
        # Arrays from Ray's object store are read-only, which torch cannot share: they are copied.
        yield name, torch.tensor(value) if isinstance(value, np.ndarray) else value


WeightTransferEngineFactory.register_engine(BACKEND, InProcessWeightTransfer)
