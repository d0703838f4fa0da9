"""vLLM's own check of a GPU's free memory, with made-up totals."""

from types import SimpleNamespace

import pytest
from vllm.v1.worker.utils import request_memory

from cluster.inference.engine_options import memory_share
from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.sizing.footprint import server_footprint
from physrl.sizing.model_size import model_size
from tests.support.paths import TINY_BASE

MODEL = ModelConfig(path=str(TINY_BASE), dtype="bfloat16")
HALF = RuntimeConfig(gpus_per_server=0.5, kv_cache_mb=30 << 10)
GPU = 80 << 30


def requested(share: float, free: float) -> int:
    """Ask vLLM for the memory that it reserves of a GPU of 80 GiB at its start."""
    snapshot = SimpleNamespace(device_="cuda:0", total_memory=GPU, free_memory=free)
    memory: int = request_memory(snapshot, SimpleNamespace(gpu_memory_utilization=share))
    return memory


def test_two_servers_start_on_one_gpu() -> None:
    share = memory_share(MODEL, HALF, GPU)
    needed = server_footprint(MODEL, HALF, model_size(MODEL)).device_bytes
    assert requested(share, free=GPU) == pytest.approx(needed, abs=1)
    assert requested(share, free=GPU - needed) == pytest.approx(needed, abs=1)
    with pytest.raises(ValueError, match="Free memory"):
        requested(share, free=GPU - 2 * needed)
    with pytest.raises(ValueError, match="Free memory"):  # vLLM's default
        requested(0.92, free=GPU - needed)


def test_a_server_that_needs_more_than_a_gpu_asks_for_all_of_it() -> None:
    assert memory_share(MODEL, HALF, total=1 << 30) == 1.0
