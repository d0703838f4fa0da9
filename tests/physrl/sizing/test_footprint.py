"""Footprints against hand-computed numbers."""

import pytest

from physrl.config.load import load_config
from physrl.config.run import RunConfig
from physrl.sizing.footprint import (
    Footprint,
    Part,
    rank_footprint,
    server_footprint,
    shared_gpu_bytes,
)
from physrl.sizing.tensors import cache_bytes_per_token
from tests.support.sizes import THOUSAND

LORA = "model.lora.rank=2"
GPUS = ("runtime.gpus_per_rank=1", "runtime.gpus_per_server=1")


def config_of(*overrides: str) -> RunConfig:
    return load_config(None, overrides)


def server(config: RunConfig) -> Footprint:
    return server_footprint(config.model, config.runtime, THOUSAND)


def held(parts: tuple[Part, ...]) -> dict[str, float]:
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
    config = config_of(LORA, "runtime.learner_ranks=2", *overrides)
    parts = held(rank_footprint(config, THOUSAND).host)
    assert parts["weights"] == weights
    assert parts["gradients"] == gradients
    assert parts["optimizer"] == optimizer


def test_four_bits() -> None:
    config = config_of(LORA, *GPUS, "model.quantization=4bit", "model.dtype=bfloat16")
    parts = held(rank_footprint(config, THOUSAND).device)
    # 800 weights at 4.127 bits, 200 and the adapter's 100 at 2 bytes.
    assert parts["weights"] == pytest.approx(800 * 4.127 / 8 + 300 * 2)
    assert held(server(config).device)["weights"] == 1100 * 2


@pytest.mark.parametrize(("prompt", "scored_on_a_gpu"), [(40, 100), (3000, 1024)])
def test_scores_of_answers_take_memory(prompt: int, scored_on_a_gpu: int) -> None:
    tokens = (f"model.max_prompt_tokens={prompt}", "model.max_completion_tokens=60")
    vocabulary = THOUSAND.head / THOUSAND.language.hidden
    on_cpu = held(server(config_of(*tokens)).host)["scores of answers"]
    assert on_cpu == (prompt + 60) * vocabulary * 8  # twice float32
    on_gpu = held(server(config_of(*tokens, *GPUS, "model.dtype=bfloat16")).device)
    assert on_gpu["scores of answers"] == scored_on_a_gpu * vocabulary * 6


def test_offloading_moves_to_the_host() -> None:
    stage = (LORA, *GPUS, "runtime.zero_stage=3")
    here, there, both = (
        rank_footprint(config_of(*stage, f"runtime.offload={what}"), THOUSAND)
        for what in ("none", "optimizer", "all")
    )
    assert {"weights", "gradients", "optimizer"} <= held(here.device).keys()
    assert {"gradients", "optimizer"} <= held(there.host).keys()
    assert {"weights", "gradients", "optimizer"} <= held(both.host).keys()
    total = here.device_bytes + here.host_bytes
    assert there.device_bytes + there.host_bytes == total == both.device_bytes + both.host_bytes


def test_a_server_over_two_gpus_splits_weights_and_cache() -> None:
    config = config_of("runtime.gpus_per_server=2")
    assert held(server(config).device)["weights"] == 1000 * 4 / 2
    assert cache_bytes_per_token(config, THOUSAND) == 10 * 4 * 4


def test_a_gpu_that_a_rank_and_a_server_share() -> None:
    def footprint(*device: Part) -> Footprint:
        return Footprint(device, ())

    activations = Part("activations", 30e9, transient=True)
    rank = footprint(Part("weights", 4e9), activations)
    # While it learns: 34 GB and the context of the server that sleeps.
    assert shared_gpu_bytes(rank, footprint(Part("weights", 20e9))) == 35e9
    # While it generates: the rank's 4 GB stay.
    assert shared_gpu_bytes(rank, footprint(Part("weights", 40e9))) == 44e9
