"""Bytes against hand-computed numbers and an optimizer's state."""

from physrl.config.load import load_config
from physrl.config.run import RunConfig
from physrl.models.engine import TorchEngine
from physrl.models.loading import load_model
from physrl.sizing.model_size import model_size
from physrl.sizing.tensors import cache_bytes_per_token, checkpoint_bytes, optimizer_bytes
from tests.support.sizes import THOUSAND

LORA = "model.lora.rank=2"


def config_of(*overrides: str) -> RunConfig:
    return load_config(None, overrides)


def test_a_cached_token() -> None:
    # Keys and values, 10 layers of width 4, 4 bytes.
    assert cache_bytes_per_token(config_of(), THOUSAND) == 2 * 10 * 4 * 4


def test_a_checkpoint() -> None:
    # The adapter twice, and two moments.
    assert checkpoint_bytes(config_of(LORA), THOUSAND) == 2 * 400 + 800
    # The adapter once; two moments and the weights that they step.
    stage_3 = config_of(LORA, "runtime.zero_stage=3")
    assert checkpoint_bytes(stage_3, THOUSAND) == 400 + 1200


def test_the_optimizers_state_is_exact() -> None:
    config = config_of("model.lora={rank: 8, vision: true}")
    model = load_model(config.model)
    engine = TorchEngine(model, config.algorithm)
    engine.backward(sum(p.square().sum() for p in model.parameters() if p.requires_grad), last=True)
    engine.step(1e-3)
    moments = [
        value
        for state in engine._optimizer.state.values()
        for name, value in state.items()
        if name != "step"
    ]
    there = sum(moment.nbytes for moment in moments)
    assert there == optimizer_bytes(config, model_size(config.model))
