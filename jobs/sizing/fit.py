"""Whether a configuration fits where it would run."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table

from cluster.runtime.placement import cpus, gpus
from jobs.sizing.capacity import Capacity, capacity
from jobs.sizing.footprint import (
    DRIVER,
    RAY,
    WIDTHS,
    WORKER_PROCESS,
    Footprint,
    adapter_bytes,
    cache_bytes_per_token,
    checkpoint_bytes,
    longest_sequence,
    rank_footprint,
    server_footprint,
    shared_gpu_bytes,
    zero_stage,
)
from jobs.sizing.model_size import ModelSize, model_size
from physrl.config.run import RunConfig

LIGHTER_RANK = (
    "set model.gradient_checkpointing=true, model.lora.rank=16, model.quantization=4bit, "
    "runtime.zero_stage=3 with more learner_ranks or runtime.offload=optimizer, or lower "
    "runtime.tokens_per_micro_batch"
)
Verdict = Literal["ok", "slow", "?", "TOO LITTLE"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table."""

    what: str
    needs: str
    there: str
    verdict: Verdict
    remedy: str = ""
    """What to do where the verdict is not ok."""


def run(config: RunConfig) -> bool:
    """Print what the configuration needs and what there is; whether it fits."""
    size, there = model_size(config.model), capacity(config)
    rank, server = rank_footprint(config, size), server_footprint(config, size)
    console = Console(soft_wrap=True)
    console.print(describe(config, size), markup=False)
    console.print(_parts_table(config, rank, server))
    checks = list(examine(config, size, there))
    table = Table("", "what", "needs", there.where)
    for check in checks:
        table.add_row(check.verdict, check.what, check.needs, check.there)
    console.print(table)
    for check in checks:
        if check.verdict != "ok":
            console.print(
                f"{check.verdict}: {check.what}: needs {check.needs}, has {check.there}: "
                f"{check.remedy}",
                markup=False,
            )
    verdicts = {check.verdict for check in checks}
    said = "may fit" if "?" in verdicts else "fits"
    said = "does not fit" if "TOO LITTLE" in verdicts else said
    console.print(f"{config.name} {said} on {there.where}", markup=False)
    if not config.algorithm.uses_rollouts:
        console.print("counted for physrl train: physrl sft starts ranks alone, and needs less")
    return "TOO LITTLE" not in verdicts


def describe(config: RunConfig, size: ModelSize) -> str:
    """The model and what is trained of it, in a line."""
    lora = config.model.lora
    what = "all weights" if lora is None else f"adapters of rank {lora.rank}"
    return (
        f"{config.model.path}: {_count(size.parameters)} parameters; {what}: "
        f"{_count(size.trained)} trained, {_gb(adapter_bytes(config, size))} to sync and save; "
        f"ZeRO stage {zero_stage(config)}, ranks: {config.runtime.learner_ranks}"
    )


def examine(config: RunConfig, size: ModelSize, there: Capacity) -> Iterator[Check]:
    """Every check, in the table's order."""
    rank, server = rank_footprint(config, size), server_footprint(config, size)
    yield from _gpus(config, rank, server, there)
    yield _cores(config, there)
    yield _host(config, size, rank, server, there)
    yield _cache(config, size)
    yield _disk(config, size, there)


def _gpus(
    config: RunConfig, rank: Footprint, server: Footprint, there: Capacity
) -> Iterator[Check]:
    runtime = config.runtime
    needed = gpus(runtime)
    yield Check(
        "GPUs",
        f"{needed:g}",
        f"{there.gpus:g}",
        "ok" if needed <= there.gpus else "TOO LITTLE",
        "lower runtime.inference_servers, gpus_per_server, learner_ranks or gpus_per_rank",
    )
    if runtime.layout == "colocated":
        yield _gpu_memory(
            "GPU memory of a rank and a server in turns",
            shared_gpu_bytes(rank, server),
            there.gpu_memory,
            f"{LIGHTER_RANK}, runtime.kv_cache_mb, or set runtime.layout=disaggregated",
        )
        return
    if runtime.gpus_per_rank:
        yield _gpu_memory(
            "GPU memory of a learner rank",
            rank.device_bytes,
            there.gpu_memory,
            LIGHTER_RANK,
        )
    if runtime.gpus_per_server:
        share = min(runtime.gpus_per_server, 1)
        yield _gpu_memory(
            "GPU memory of an inference server",
            server.device_bytes,
            None if there.gpu_memory is None else there.gpu_memory * share,
            "lower runtime.kv_cache_mb, raise runtime.gpus_per_server to 1, or set "
            "model.dtype=bfloat16",
        )


def _gpu_memory(what: str, needed: float, there: float | None, remedy: str) -> Check:
    if there is None:
        return Check(what, f"≈ {_gb(needed)}", "unknown", "?", "no GPU said how large it is")
    verdict: Verdict = "ok" if needed <= there else "TOO LITTLE"
    return Check(what, f"≈ {_gb(needed)}", _gb(there), verdict, remedy)


def _cores(config: RunConfig, there: Capacity) -> Check:
    runtime = config.runtime
    if there.joined:  # Ray reserves them, and would wait for ever
        needed = cpus(runtime)
        short: Verdict = "TOO LITTLE"
    else:
        threads = (runtime.inference_servers + runtime.learner_ranks) * runtime.threads
        needed = runtime.rollout_workers + threads
        short = "slow"
    return Check(
        "cores",
        f"{needed:g}",
        f"{there.cores:g}",
        "ok" if needed <= there.cores else short,
        "lower runtime.rollout_workers or threads, unless they take turns anyway",
    )


def _host(
    config: RunConfig, size: ModelSize, rank: Footprint, server: Footprint, there: Capacity
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
    if runtime.layout == "colocated":  # a server that sleeps keeps its weights here
        needed += runtime.inference_servers * size.parameters * WIDTHS[config.model.dtype]
    return Check(
        "memory of the hosts",
        f"≈ {_gb(needed)}",
        _gb(there.memory),
        "ok" if needed <= there.memory else "TOO LITTLE",
        "lower runtime.inference_servers, rollout_workers, learner_ranks or "
        "tokens_per_micro_batch, or set runtime.offload=none",
    )


def _cache(config: RunConfig, size: ModelSize) -> Check:
    """An engine does not start where its cache holds less than one sequence."""
    each = cache_bytes_per_token(config, size) * longest_sequence(config)
    there = config.runtime.kv_cache_mb << 20
    sequences = int(there // each)
    return Check(
        "key-value cache of a server",
        f"{_gb(each)} a sequence",
        f"{_gb(there)}: {sequences} sequences at once",
        "ok" if sequences else "TOO LITTLE",
        f"set runtime.kv_cache_mb={int(each) // 2**20 + 1} at least",
    )


def _disk(config: RunConfig, size: ModelSize, there: Capacity) -> Check:
    each = checkpoint_bytes(config, size)
    needed = each * (_kept(config) + 1)  # and the one being written
    if config.model.quantization is not None:
        needed += size.parameters * WIDTHS[config.model.dtype]
    return Check(
        "disk",
        f"{_gb(needed)} ({_gb(each)} a checkpoint)",
        f"{_gb(there.disk)} free",
        "ok" if needed <= there.disk else "TOO LITTLE",
        "lower checkpoint.keep_last or keep_best, or set output= to another disk",
    )


def _kept(config: RunConfig) -> int:
    return config.checkpoint.keep_last + config.checkpoint.keep_best


def _parts_table(config: RunConfig, rank: Footprint, server: Footprint) -> Table:
    table = Table("process", "where", "holds", "", title="≈ is an estimate (docs/monitoring.md)")
    for name, process, on_gpu in (
        ("learner rank", rank, config.runtime.gpus_per_rank),
        ("inference server", server, config.runtime.gpus_per_server),
    ):
        places = (("GPU", process.device), ("host", process.host))
        for where, parts in places if on_gpu else places[1:]:
            for part in parts:
                table.add_row(name, where, part.name, f"{'≈ ' * part.estimated}{_gb(part.bytes)}")
                name = ""
    return table


def _gb(size: float) -> str:
    """In GB of 10^9 bytes, or MB and kB of as many."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"


def _count(number: int) -> str:
    for unit, factor in (("B", 1e9), ("M", 1e6)):
        if number >= factor:
            return f"{number / factor:.3g} {unit}"
    return f"{number}"
