"""The check that a server and a rank take turns on a GPU within their memory account."""

from typing import Any

import ray

from jobs.gpu_check.rows import Failed, Finding, Skipped
from jobs.gpu_check.trained import TrainedRun
from physrl.config.run import RunConfig
from physrl.sizing.footprint import (
    CUDA,
    rank_footprint,
    server_footprint,
    shared_gpu_bytes,
)
from physrl.sizing.model_size import model_size

MARGIN = 1.5e9
"""Bytes that memory may exceed its account by: allocators round up."""


def takes_turns(run: TrainedRun) -> Finding:
    """Measure the memory of a shared GPU while the server sleeps, and while it serves.

    Raises:
        Failed: one of them is above what `physrl doctor` counts.
    """
    config = run.config
    if not config.runtime.gpus_per_server:
        raise Skipped("vLLM cannot sleep on a CPU")
    server = run.actors.servers.pool.handles[0]
    with run.actors.learning():
        asleep = _used(server)
    awake = _used(server)
    allowed = account(config)
    measured = {"asleep": asleep, "awake": awake}
    text = ", ".join(
        f"{name} {used / 1e9:.1f} GB of {allowed[name] / 1e9:.1f} counted"
        for name, used in measured.items()
    )
    above = [name for name, used in measured.items() if used > allowed[name] + MARGIN]
    if above:
        raise Failed(f"more memory than counted while {' and '.join(above)}: {text}")
    return Finding(text, {f"gb_{name}": used / 1e9 for name, used in measured.items()})


def account(config: RunConfig) -> dict[str, float]:
    """Count the bytes of a shared GPU while the server sleeps, and while it serves."""
    size = model_size(config.model)
    rank = rank_footprint(config, size)
    server = server_footprint(config.model, config.runtime, size)
    resident = sum(part.bytes for part in rank.device if not part.transient)
    return {"asleep": resident + CUDA, "awake": shared_gpu_bytes(rank, server)}


def _used(server: Any) -> float:
    """Return the bytes in use on a server's GPU, by all processes."""
    free, total = ray.get(server.__ray_call__.remote(_memory))
    return float(total - free)


def _memory(server: Any) -> tuple[int, int]:
    import torch

    free, total = torch.cuda.mem_get_info()
    return free, total
