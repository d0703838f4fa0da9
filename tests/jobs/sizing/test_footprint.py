"""Formulas by hand, and against what a model really holds."""

from itertools import chain
from typing import Any

import pytest
import torch

from jobs.sizing import footprint as sizing
from jobs.sizing.model_size import Layers, ModelSize, model_size
from physrl.config.load import load_config
from physrl.config.run import RunConfig
from physrl.models.engine import TorchEngine
from physrl.models.loading import load_model

SIZE = ModelSize(
    parameters=1000,
    trained=100,
    linear=800,
    head=50,
    language=Layers(count=10, hidden=8, queries=8, keys=4, intermediate=32),
    vision=Layers(count=5, hidden=4, queries=4, keys=4, intermediate=16),
    patch=14,
)
LORA = "model.lora.rank=2"
GPUS = ("runtime.gpus_per_rank=1", "runtime.gpus_per_server=1")


def configured(*overrides: str) -> RunConfig:
    return load_config(None, overrides)


def held(parts: tuple[sizing.Part, ...]) -> dict[str, float]:
    return {part.name: part.bytes for part in parts}


@pytest.mark.parametrize(
    ("overrides", "weights", "gradients", "optimizer"),
    [
        # 1000 of the base and 100 of the adapter, at 4 bytes; 100 gradients; two moments.
        ([], 4400, 400, 800),
        # ZeRO keeps a copy of the 100: (8 + 4) x 100 bytes, over two ranks.
        (["runtime.zero_stage=1"], 4400, 400, 600),
        (["runtime.zero_stage=2"], 4400, 200, 600),
        (["runtime.zero_stage=3"], 2400, 200, 600),
        # bfloat16 is stage 2 at least, with gradients and copies in float32.
        (["model.dtype=bfloat16"], 2200, 200, 600),
    ],
)
def test_a_rank_by_hand(
    overrides: list[str], weights: float, gradients: float, optimizer: float
) -> None:
    config = configured(LORA, "runtime.learner_ranks=2", *overrides)
    parts = held(sizing.rank_footprint(config, SIZE).host)
    assert parts["weights"] == weights
    assert parts["gradients"] == gradients
    assert parts["optimizer"] == optimizer


def test_four_bits() -> None:
    config = configured(LORA, *GPUS, "model.quantization=4bit", "model.dtype=bfloat16")
    parts = held(sizing.rank_footprint(config, SIZE).device)
    # 800 weights at 4.127 bits, 200 and the adapter's 100 at 2 bytes.
    assert parts["weights"] == pytest.approx(800 * 4.127 / 8 + 300 * 2)
    assert held(sizing.server_footprint(config, SIZE).device)["weights"] == 1100 * 2


def test_offloading_moves_to_the_host() -> None:
    stage = (LORA, *GPUS, "runtime.zero_stage=3")
    here, there, both = (
        sizing.rank_footprint(configured(*stage, f"runtime.offload={what}"), SIZE)
        for what in ("none", "optimizer", "all")
    )
    assert {"weights", "gradients", "optimizer"} <= held(here.device).keys()
    assert {"gradients", "optimizer"} <= held(there.host).keys()
    assert {"weights", "gradients", "optimizer"} <= held(both.host).keys()
    total = here.device_bytes + here.host_bytes
    assert there.device_bytes + there.host_bytes == total == both.device_bytes + both.host_bytes


def test_a_cached_token() -> None:
    # Keys and values, 10 layers of width 4, 4 bytes.
    assert sizing.cache_bytes_per_token(configured(), SIZE) == 2 * 10 * 4 * 4


def test_a_server_over_two_gpus_splits_weights_and_cache() -> None:
    config = configured(*GPUS, "runtime.vllm.tensor_parallel_size=2")
    assert held(sizing.server_footprint(config, SIZE).device)["weights"] == 1000 * 4 / 2
    assert sizing.cache_bytes_per_token(config, SIZE) == 10 * 4 * 4


def test_a_gpu_that_both_use_in_turns() -> None:
    def footprint(*device: sizing.Part) -> sizing.Footprint:
        return sizing.Footprint(device, ())

    activations = sizing.Part("activations", 30e9, passing=True)
    rank = footprint(sizing.Part("weights", 4e9), activations)
    # While it learns: 34 GB and the context of the server that sleeps.
    assert sizing.shared_gpu_bytes(rank, footprint(sizing.Part("weights", 20e9))) == 35e9
    # While it generates: the rank's 4 GB stay.
    assert sizing.shared_gpu_bytes(rank, footprint(sizing.Part("weights", 40e9))) == 44e9


def test_a_checkpoint() -> None:
    # The adapter twice, and two moments.
    assert sizing.checkpoint_bytes(configured(LORA), SIZE) == 2 * 400 + 800
    # The adapter once; two moments and the weights that they step.
    stage_3 = configured(LORA, "runtime.zero_stage=3")
    assert sizing.checkpoint_bytes(stage_3, SIZE) == 400 + 1200


def test_a_micro_batch_holds_no_more_than_the_update() -> None:
    small = configured("algorithm.prompts_per_step=1", "algorithm.group_size=2")
    large = configured("algorithm.prompts_per_step=64", "algorithm.group_size=64")
    language = sizing.layer_bytes_per_token(SIZE.language, "float32") * 11
    vision = sizing.layer_bytes_per_token(SIZE.vision, "float32") * 6 * 36
    tile = 4 * (1 << 22)
    # Two rows of 256 + 24 tokens with one picture of 6 x 6 patches.
    assert sizing.activation_bytes(small, SIZE) == 560 * language + vision + tile
    # 8192 tokens are 30 rows of one group.
    assert sizing.activation_bytes(large, SIZE) == 8192 * language + vision + tile


def test_checkpointing_keeps_inputs() -> None:
    kept, checkpointed = (
        sizing.activation_bytes(configured(f"model.gradient_checkpointing={on}"), SIZE)
        for on in ("false", "true")
    )
    assert checkpointed < kept


def test_the_optimizers_state_is_exact() -> None:
    config = configured("model.lora={rank: 8, vision: true}")
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
    assert there == sizing.optimizer_bytes(config, model_size(config.model))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_activations_are_about_what_autograd_keeps(dtype: str) -> None:
    config = configured(f"model.dtype={dtype}")
    size = model_size(config.model)
    model = load_model(config.model).train()
    states = torch.randn(2, 64, size.language.hidden, dtype=model.dtype, requires_grad=True)
    text = kept_bytes(model, lambda: model.model.language_model(inputs_embeds=states))
    patches = torch.randn(64, 3 * 2 * 14 * 14, dtype=model.dtype)
    picture = kept_bytes(model, lambda: model.model.visual(patches, torch.tensor([[1, 8, 8]])))
    expected_text = 128 * 3 * sizing.layer_bytes_per_token(size.language, dtype)
    expected_picture = 64 * 3 * sizing.layer_bytes_per_token(size.vision, dtype)
    assert text == pytest.approx(expected_text, rel=0.15)
    assert picture == pytest.approx(expected_picture, rel=0.5)


def kept_bytes(model: Any, forward: Any) -> int:
    """Storages that a forward pass keeps for the way back, besides the weights."""
    weights = {t.untyped_storage().data_ptr() for t in chain(model.parameters(), model.buffers())}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if (address := tensor.untyped_storage().data_ptr()) not in weights:
            kept[address] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        forward()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
