"""Engines: a model under training with its optimizer."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor

from physrl.config.algorithm import OptimizationConfig, PolicyGradientConfig


class Engine(Protocol):
    """A model, its optimizer and the ranks that share them."""

    model: Any
    rank: int
    world_size: int

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Accumulate gradients; `last` marks the last micro-batch before `step`."""

    def step(self, lr: float) -> float:
        """Apply the accumulated gradients, averaged over ranks, and return their norm.

        Gradients whose norm is not finite are dropped, on every rank alike.
        """

    def gathered(self, parameters: list[torch.nn.Parameter]) -> AbstractContextManager[None]:
        """Hold whole parameters on every rank within the block."""


class TorchEngine:
    """The reference engine: one process, plain PyTorch."""

    rank, world_size = 0, 1

    def __init__(self, model: Any, optimization: OptimizationConfig) -> None:
        set_training_mode(model, optimization)
        self.model = model
        self._max_grad_norm = optimization.max_grad_norm
        self._optimizer = make_optimizer(model, optimization)

    def backward(self, loss: Tensor, *, last: bool) -> None:
        loss.backward()

    def gathered(self, parameters: list[torch.nn.Parameter]) -> AbstractContextManager[None]:
        return nullcontext()

    def step(self, lr: float) -> float:
        norm = float(torch.nn.utils.clip_grad_norm_(trainable(self.model), self._max_grad_norm))
        if math.isfinite(norm):
            for group in self._optimizer.param_groups:
                group["lr"] = lr
            self._optimizer.step()
        self._optimizer.zero_grad()
        return norm


def set_training_mode(model: torch.nn.Module, optimization: OptimizationConfig) -> None:
    """Put a model in training mode, which activation checkpointing needs; dropout for SFT only.

    A policy gradient compares log-probabilities with those of the old policy, the sampler and the
    base model, none of which has dropout: it would move ratios and KL away from 1 and 0 where the
    policies are equal.
    """
    model.train()
    if isinstance(optimization, PolicyGradientConfig):
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.eval()


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode within the block, then restore each module's mode."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def trainable(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """List the trainable parameters."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def make_optimizer(model: torch.nn.Module, config: OptimizationConfig) -> torch.optim.AdamW:
    """Make AdamW over the trainable parameters; each step sets the learning rate."""
    return torch.optim.AdamW(
        trainable(model), lr=config.lr, betas=config.betas, weight_decay=config.weight_decay
    )
