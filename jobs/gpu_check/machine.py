"""Checks of the machines of a cluster: driver, CUDA, memory, communication between GPUs."""

import socket
import time
from contextlib import closing

import ray

from jobs.checks.parts import Part, gpu_parts
from jobs.gpu_check.rows import Failed, Finding, Skipped

NUMBERS = 1 << 26
"""Numbers of the all-reduce on GPUs, 256 MB; a CPU sums a thousandth."""
SECONDS = 180.0
"""Deadline of the processes that communicate."""


def driver(gpus: int) -> Finding:
    """Ask a machine that has GPUs for its driver, CUDA, NCCL and memory."""
    if not gpus:
        raise Skipped("no GPU is used")
    asked = ray.remote(_parts).options(num_cpus=0, num_gpus=1)
    parts: list[Part] = ray.get(asked.remote(), timeout=SECONDS)
    missing = [part for part in parts if part.remedy and part.required]
    if missing:
        raise Failed("; ".join(f"{part.name}: {part.found}; {part.remedy}" for part in missing))
    return Finding(", ".join(f"{part.name} {part.found}" for part in parts))


def communication(gpus: int) -> Finding:
    """Sum numbers over all GPUs of the check by NCCL, or over two processes by gloo."""
    if gpus == 1:
        raise Skipped("one GPU has none to communicate with")
    ranks, backend = (gpus, "nccl") if gpus else (2, "gloo")
    with closing(socket.socket()) as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    task = ray.remote(_all_reduce).options(num_cpus=0, num_gpus=1 if gpus else 0)
    address = ray.util.get_node_ip_address()
    calls = [task.remote(rank, ranks, backend, f"tcp://{address}:{port}") for rank in range(ranks)]
    speeds: list[float] = ray.get(calls, timeout=SECONDS)
    speed = min(speeds)
    text = f"{backend}: {ranks} ranks, {speed / 1e9:.2f} GB/s each"
    return Finding(text, {"all_reduce_gb_per_s": speed / 1e9})


def _parts() -> list[Part]:
    return list(gpu_parts())


def _all_reduce(rank: int, ranks: int, backend: str, address: str) -> float:
    """Sum a vector over all ranks twice; return the bytes per second of the second time.

    Raises:
        Failed: the sum is wrong.
    """
    import torch
    from torch import distributed

    distributed.init_process_group(backend, init_method=address, rank=rank, world_size=ranks)
    try:
        device = "cuda" if backend == "nccl" else "cpu"
        count = NUMBERS if backend == "nccl" else NUMBERS // 1000
        for _ in range(2):
            vector = torch.full((count,), float(rank + 1), device=device)
            began = time.perf_counter()
            distributed.all_reduce(vector)
            found = vector[-1].item()  # waits for the sum
            spent = time.perf_counter() - began
        expected = ranks * (ranks + 1) / 2
        if found != expected:
            raise Failed(f"the sum over {ranks} ranks is {found:g} instead of {expected:g}")
        return 4 * count / spent
    finally:
        distributed.destroy_process_group()
