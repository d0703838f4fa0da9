"""The reference policy of the KL term: the base model, or the weights that training starts from."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import safetensors.torch
import torch
from torch import Tensor

from physrl.config.algorithm import PolicyGradientConfig
from physrl.config.run import RunConfig
from physrl.models.engine import Engine, trainable

FILE = "reference.safetensors"


class Reference(Protocol):
    """A policy that the model can be for a while."""

    def active(self) -> AbstractContextManager[None]:
        """Let the model be the reference within the block."""
        ...

    def follow(self, steps: int) -> None:
        """Follow the policy after a number of steps, if the reference does."""

    def save(self, folder: Path) -> None:
        """Write what the run's start does not give."""

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""


class BaseReference:
    """The base model under an adapter."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def active(self) -> AbstractContextManager[None]:
        disabled: AbstractContextManager[None] = self._model.disable_adapter()
        return disabled

    def follow(self, steps: int) -> None:
        """Do nothing: the base is never trained."""

    def save(self, folder: Path) -> None:
        """Do nothing: the base is the run's input."""

    def load(self, folder: Path) -> None:
        """Do nothing: the base is the run's input."""


class FrozenReference:
    """A copy of the trained weights, which takes their place while it is active.

    Nothing is copied back and forth: parameters and copies exchange their storage, so that the
    trained weights stay bitwise as they were.

    Args:
        sync_every: steps after which the policy becomes the reference; 0: never.
    """

    def __init__(self, engine: Engine, sync_every: int) -> None:
        self._engine, self._sync_every = engine, sync_every
        self._parameters = trainable(engine.model)
        self._copies: list[Tensor] = []
        self._shards: list[Tensor | None] = []
        self._copy()

    def follow(self, steps: int) -> None:
        if self._sync_every and steps % self._sync_every == 0:
            self._copy()

    def _copy(self) -> None:
        """Make the current weights the reference."""
        with torch.no_grad(), self._engine.gathered(self._parameters):
            self._copies = [each.data.clone() for each in self._parameters]
        shards = [getattr(each, "ds_tensor", None) for each in self._parameters]
        self._shards = [None if shard is None else shard.data.clone() for shard in shards]

    @contextmanager
    def active(self) -> Iterator[None]:
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def save(self, folder: Path) -> None:
        if self._sync_every:
            tensors = {str(index): copy.cpu() for index, copy in enumerate(self._copies)}
            safetensors.torch.save_file(tensors, folder / FILE)

    def load(self, folder: Path) -> None:
        if self._sync_every:
            tensors = safetensors.torch.load_file(folder / FILE)
            for index, copy in enumerate(self._copies):
                copy.copy_(tensors[str(index)])

    def _exchange(self) -> None:
        pairs = zip(self._parameters, self._copies, self._shards, strict=True)
        for index, (parameter, copy, shard) in enumerate(pairs):
            if shard is not None:  # ZeRO-3: this rank's part, from which the others gather
                self._shards[index], parameter.ds_tensor.data = parameter.ds_tensor.data, shard
                if parameter.data.shape != copy.shape:
                    continue  # not gathered at present
            self._copies[index], parameter.data = parameter.data, copy


def make_reference(config: RunConfig, engine: Engine) -> Reference | None:
    """Make the reference of a run from the weights that it starts from; None without a KL term."""
    algorithm = config.algorithm
    if not isinstance(algorithm, PolicyGradientConfig) or not algorithm.beta:
        return None
    # A new adapter changes nothing yet: its start is the base.
    starts_from_base = config.model.lora is not None and config.model.adapter is None
    if not algorithm.sync_every and (algorithm.reference == "base" or starts_from_base):
        return BaseReference(engine.model)
    return FrozenReference(engine, algorithm.sync_every)
