"""The PyTorch engine against hand-computed updates, and dropout."""

import math

import pytest
import torch

from physrl.config.algorithm import GRPOConfig, OptimizationConfig, SFTConfig
from physrl.config.model import LoRAConfig, ModelConfig
from physrl.models.engine import TorchEngine, evaluating
from physrl.models.loading import load_model
from tests.support.paths import TINY_BASE


class Plane(torch.nn.Module):
    """The linear function w . x."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor([1.0, -2.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.w @ x


@pytest.mark.parametrize("defaults", [OptimizationConfig(), GRPOConfig(), SFTConfig()])
def test_a_default_update_by_hand(defaults: OptimizationConfig) -> None:
    model = Plane()
    engine = TorchEngine(model, defaults)
    engine.backward(model(torch.tensor([3.0, 0.0])), last=False)
    engine.backward(model(torch.tensor([0.0, 4.0])), last=True)
    assert engine.step(lr=0.01) == pytest.approx(5.0)  # the norm of (3, 4), before clipping
    # Weight decay 0.1 at rate 0.01, then Adam's first step: the rate against the sign.
    expected = [1.0 * (1 - 0.001) - 0.01, -2.0 * (1 - 0.001) - 0.01]
    assert model.w.tolist() == pytest.approx(expected, abs=1e-6)
    [state] = engine._optimizer.state.values()
    # The gradient clipped to 0.1 is (0.06, 0.08); betas are 0.9 and 0.99.
    assert state["exp_avg"].tolist() == pytest.approx([0.006, 0.008])
    assert state["exp_avg_sq"].tolist() == pytest.approx([0.0036 * 0.01, 0.0064 * 0.01])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_gradients_that_are_not_finite_are_dropped(bad: float) -> None:
    model = Plane()
    engine = TorchEngine(model, OptimizationConfig())
    engine.backward(model(torch.tensor([1.0, bad])), last=True)
    assert not math.isfinite(engine.step(lr=0.01))
    assert model.w.tolist() == [1.0, -2.0]
    engine.backward(model(torch.tensor([3.0, 4.0])), last=True)
    assert engine.step(lr=0.01) == pytest.approx(5.0)


def test_only_sft_has_dropout() -> None:
    lora = LoRAConfig(rank=2, vision=True, dropout=0.5)
    model = load_model(ModelConfig(path=str(TINY_BASE), lora=lora))
    dropouts = [m for m in model.modules() if isinstance(m, torch.nn.Dropout) and m.p == 0.5]
    assert dropouts
    TorchEngine(model, GRPOConfig())
    assert model.training
    assert not any(dropout.training for dropout in dropouts)
    TorchEngine(model, SFTConfig())
    assert all(dropout.training for dropout in dropouts)
    with evaluating(model):
        assert not any(module.training for module in model.modules())
    assert all(dropout.training for dropout in dropouts)
