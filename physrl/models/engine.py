"""What holds a model's weights while they are trained."""

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
        """Apply the accumulated gradients, averaged over ranks; returns their norm."""
        ...


class TorchEngine:
    """One process, plain PyTorch: the reference."""

    rank, world_size = 0, 1

    def __init__(self, model: Any, optimization: OptimizationConfig) -> None:
        self.model = model
        self._max_grad_norm = optimization.max_grad_norm
        self._optimizer = make_optimizer(model, optimization)

    def backward(self, loss: Tensor, *, last: bool) -> None:
        loss.backward()

    def step(self, lr: float) -> float:
        norm = torch.nn.utils.clip_grad_norm_(trainable(self.model), self._max_grad_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._optimizer.zero_grad()
        return float(norm)


def trainable(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The parameters that an update changes."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def make_optimizer(model: torch.nn.Module, config: OptimizationConfig) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; the rate is set anew before every step."""
    return torch.optim.AdamW(
        trainable(model), lr=config.lr, betas=config.betas, weight_decay=config.weight_decay
    )
