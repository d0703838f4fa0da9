"""The capacity of this machine, or of the Ray cluster that a run would join."""

from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage

import psutil
import ray
from ray.exceptions import GetTimeoutError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.runtime.authentication import announced_address
from cluster.runtime.session import ray_session
from physrl.config.run import RunConfig

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
PROBE_SECONDS = 60.0
"""Timeout of reading the GPUs' memory on a busy cluster."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Total resources, including what other processes use."""

    name: str
    """The machine or cluster, for messages."""
    cores: float
    memory: float
    """Total bytes of host memory."""
    gpus: float
    gpu_memory: float | None
    """Bytes of the smallest GPU; None without GPUs, or if unknown."""
    disk: float
    """Free bytes in the run's folder."""
    joined: bool
    """True for a running cluster, where Ray reserves cores."""


def capacity(config: RunConfig) -> Capacity:
    """Measure the capacity, without starting a cluster."""
    disk = free_disk(config.folder)
    if announced_address() is None:
        gpus = _gpu_memories()
        return Capacity(
            "this machine",
            len(psutil.Process().cpu_affinity()),
            _memory(),
            len(gpus),
            min(gpus, default=None),
            disk,
            joined=False,
        )
    with ray_session(config.runtime):
        resources = ray.cluster_resources()
        return Capacity(
            "the Ray cluster",
            resources.get("CPU", 0),
            resources.get("memory", 0),
            resources.get("GPU", 0),
            _smallest_gpu(),
            disk,
            joined=True,
        )


def free_disk(folder: Path) -> float:
    """Return the free bytes of a folder's disk; the folder need not exist."""
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    return disk_usage(existing).free


def _memory() -> float:
    """Return the machine's memory in bytes, or the container's lower limit."""
    total: float = psutil.virtual_memory().total
    try:
        return min(total, float(CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no such file, or "max"
        return total


def _gpu_memories() -> list[float]:
    import torch

    count = torch.cuda.device_count()
    return [torch.cuda.get_device_properties(index).total_memory for index in range(count)]


def _smallest_gpu() -> float | None:
    probe = ray.remote(_gpu_memories)
    calls = [
        probe.options(
            num_cpus=0,
            num_gpus=0.01,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        ).remote()
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("GPU")
    ]
    try:
        return min(
            (size for sizes in ray.get(calls, timeout=PROBE_SECONDS) for size in sizes),
            default=None,
        )
    except GetTimeoutError:
        return None
