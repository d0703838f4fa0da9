"""What holds a model's weights while they are trained."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from physrl.config.algorithm import OptimizationConfig


class Engine(Protocol):
    """A model, its optimizer and the ranks that share them."""

    model: Any
    rank: int
    world_size: int

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Accumulate gradients; `last` marks the micro-batch after which `step` follows."""
        ...

    def step(self, lr: float) -> float:
        """Apply the accumulated gradients, averaged over ranks; returns their norm.

        Where the norm is not finite, the gradients are dropped and nothing changes, on every rank
        alike.
        """
        ...


class TorchEngine:
    """One process, plain PyTorch: the reference."""

    rank, world_size = 0, 1

    def __init__(self, model: Any, optimization: OptimizationConfig) -> None:
        set_training_mode(model, optimization)
        self.model = model
        self._max_grad_norm = optimization.max_grad_norm
        self._optimizer = make_optimizer(model, optimization)

    def backward(self, loss: Tensor, *, last: bool) -> None:
        loss.backward()

    def step(self, lr: float) -> float:
        norm = float(torch.nn.utils.clip_grad_norm_(trainable(self.model), self._max_grad_norm))
        if math.isfinite(norm):
            for group in self._optimizer.param_groups:
                group["lr"] = lr
            self._optimizer.step()
        self._optimizer.zero_grad()
        return norm


def set_training_mode(model: torch.nn.Module, optimization: OptimizationConfig) -> None:
    """Put a model in training mode, in which it can checkpoint activations.

    Dropout is for imitation alone. Reinforcement compares a policy's log-probabilities with those
    of an older policy, of the sampler and of the base model, none of which drops anything: noise
    would move ratios and KL away from 1 and 0 where the policies are equal.
    """
    model.train()
    if optimization.uses_rollouts:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.eval()


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode within the block, and each module's own mode again after it."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def trainable(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The parameters that an update changes."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def make_optimizer(model: torch.nn.Module, config: OptimizationConfig) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; the rate is set anew before every step."""
    return torch.optim.AdamW(
        trainable(model), lr=config.lr, betas=config.betas, weight_decay=config.weight_decay
    )
