"""What this machine, or the Ray cluster that a run would join, has."""

from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage

import psutil
import ray
from ray.exceptions import GetTimeoutError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.runtime.authentication import cluster_announced
from cluster.runtime.session import ray_session
from physrl.config.run import RunConfig

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
PROBE_SECONDS = 60.0
"""How long a busy cluster may take to say how large its GPUs are."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Totals; what others use of them is not taken off."""

    where: str
    cores: float
    memory: float
    """Bytes of the hosts together."""
    gpus: float
    gpu_memory: float | None
    """Bytes of the smallest GPU; None where there is none, or it did not say."""
    disk: float
    """Bytes free where the run writes."""
    joined: bool
    """Whether cores are reserved, and not merely shared."""


def capacity(config: RunConfig) -> Capacity:
    """Look, without starting anything."""
    disk = free_disk(config.folder)
    if not cluster_announced():
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
        there = ray.cluster_resources()
        return Capacity(
            "the Ray cluster",
            there.get("CPU", 0),
            there.get("memory", 0),
            there.get("GPU", 0),
            _smallest_gpu(),
            disk,
            joined=True,
        )


def free_disk(folder: Path) -> float:
    """Bytes free where the folder is, or would be made."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return disk_usage(there).free


def _memory() -> float:
    """The machine's, or less where a container may take less."""
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
    asked = [
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
            (size for sizes in ray.get(asked, timeout=PROBE_SECONDS) for size in sizes),
            default=None,
        )
    except GetTimeoutError:
        return None
