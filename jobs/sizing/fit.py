"""Checks of whether a configuration fits the machine or cluster that it would run on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cluster.runtime.placement import required_cpus, required_gpus
from jobs.display.units import format_bytes
from jobs.sizing.capacity import Capacity
from physrl.config.run import RunConfig
from physrl.sizing.footprint import (
    DRIVER,
    RAY,
    WORKER_PROCESS,
    Footprint,
    rank_footprint,
    server_footprint,
    shared_gpu_bytes,
)
from physrl.sizing.model_size import ModelSize
from physrl.sizing.tensors import (
    WIDTHS,
    cache_bytes_per_token,
    checkpoint_bytes,
    longest_sequence,
)

LIGHTER_RANK = (
    "set model.gradient_checkpointing=true, model.lora.rank=16, model.quantization=4bit, "
    "runtime.zero_stage=3 with more learner_ranks or runtime.offload=optimizer, or lower "
    "runtime.tokens_per_micro_batch"
)
Verdict = Literal["ok", "slow", "?", "TOO LITTLE"]


@dataclass(frozen=True, slots=True)
class Check:
    """A resource that a run needs, and what is available of it."""

    resource: str
    needed: str
    available: str
    verdict: Verdict
    remedy: str = ""
    """Advice where the verdict is not ok."""


def check_fit(config: RunConfig, size: ModelSize, capacity: Capacity) -> Iterator[Check]:
    """Check every resource, in the table's order."""
    rank = rank_footprint(config, size)
    server = server_footprint(config.model, config.runtime, size)
    yield from _gpus(config, rank, server, capacity)
    yield _cores(config, capacity)
    yield _host(config, size, rank, server, capacity)
    yield _cache(config, size)
    yield _disk(config, size, capacity)


def _gpus(
    config: RunConfig, rank: Footprint, server: Footprint, capacity: Capacity
) -> Iterator[Check]:
    runtime = config.runtime
    needed = required_gpus(runtime)
    yield Check(
        "GPUs",
        f"{needed:g}",
        f"{capacity.gpus:g}",
        "ok" if needed <= capacity.gpus else "TOO LITTLE",
        "lower runtime.inference_servers, gpus_per_server, learner_ranks or gpus_per_rank",
    )
    if runtime.layout == "colocated":
        yield _memory(
            "GPU memory of a rank and a server that take turns",
            shared_gpu_bytes(rank, server),
            capacity.gpu_memory,
            f"{LIGHTER_RANK}, runtime.kv_cache_mb, or set runtime.layout=disaggregated",
        )
        return
    if runtime.gpus_per_rank:
        yield _memory(
            "GPU memory of a learner rank",
            rank.device_bytes,
            capacity.gpu_memory,
            LIGHTER_RANK,
        )
    if runtime.gpus_per_server:
        share = min(runtime.gpus_per_server, 1)
        yield _memory(
            "GPU memory of an inference server",
            server.device_bytes,
            None if capacity.gpu_memory is None else capacity.gpu_memory * share,
            "lower runtime.kv_cache_mb, raise runtime.gpus_per_server to 1, or set "
            "model.dtype=bfloat16",
        )


def _memory(resource: str, needed: float, available: float | None, remedy: str) -> Check:
    estimate = f"≈ {format_bytes(needed)}"
    if available is None:
        return Check(resource, estimate, "unknown", "?", "the GPUs did not report their memory")
    verdict: Verdict = "ok" if needed <= available else "TOO LITTLE"
    return Check(resource, estimate, format_bytes(available), verdict, remedy)


def _cores(config: RunConfig, capacity: Capacity) -> Check:
    runtime = config.runtime
    if capacity.joined:  # Ray reserves them, and would wait forever
        needed = required_cpus(runtime)
        short: Verdict = "TOO LITTLE"
    else:
        threads = (runtime.inference_servers + runtime.learner_ranks) * runtime.threads
        needed = runtime.rollout_workers + threads
        short = "slow"
    return Check(
        "cores",
        f"{needed:g}",
        f"{capacity.cores:g}",
        "ok" if needed <= capacity.cores else short,
        "lower runtime.rollout_workers or threads, unless they rarely run at once",
    )


def _host(
    config: RunConfig, size: ModelSize, rank: Footprint, server: Footprint, capacity: Capacity
) -> Check:
    runtime = config.runtime
    needed = (
        runtime.learner_ranks * rank.host_bytes
        + runtime.inference_servers * server.host_bytes
        + runtime.rollout_workers * WORKER_PROCESS
        + DRIVER
        + RAY
        + (runtime.object_store_mb << 20)
    )
    if runtime.layout == "colocated":  # a sleeping server keeps its weights in host memory
        needed += runtime.inference_servers * size.parameters * WIDTHS[config.model.dtype]
    return _memory(
        "host memory",
        needed,
        capacity.memory,
        "lower runtime.inference_servers, rollout_workers, learner_ranks or "
        "tokens_per_micro_batch, or set runtime.offload=none",
    )


def _cache(config: RunConfig, size: ModelSize) -> Check:
    """Check that the cache holds one sequence, without which the engine does not start."""
    sequence = cache_bytes_per_token(config, size) * longest_sequence(config)
    cache = config.runtime.kv_cache_mb << 20
    sequences = int(cache // sequence)
    return Check(
        "key-value cache of a server",
        f"{format_bytes(sequence)} per sequence",
        f"{format_bytes(cache)}: {sequences} concurrent sequences",
        "ok" if sequences else "TOO LITTLE",
        f"set runtime.kv_cache_mb to at least {int(sequence) // 2**20 + 1}",
    )


def _disk(config: RunConfig, size: ModelSize, capacity: Capacity) -> Check:
    checkpoint = checkpoint_bytes(config, size)
    kept = config.checkpoint.keep_last + config.checkpoint.keep_best
    needed = checkpoint * (kept + 1)  # and the one being written
    if config.model.quantization is not None:
        needed += size.parameters * WIDTHS[config.model.dtype]
    return Check(
        "disk",
        f"{format_bytes(needed)} ({format_bytes(checkpoint)} per checkpoint)",
        f"{format_bytes(capacity.disk)} free",
        "ok" if needed <= capacity.disk else "TOO LITTLE",
        "lower checkpoint.keep_last or keep_best, or set output= to another disk",
    )
