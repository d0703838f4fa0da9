"""Parts of an installation and machine that `physrl doctor` reports, GPUs among them."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

INSTALL = "make install"
DRIVER = 580
"""Oldest driver of torch's CUDA 13."""
QUERY = "index,name,driver_version,memory.total,memory.used"
USED_MIB = 1024
"""Memory in use above which vLLM may not start: it wants 0.92 of a GPU."""
SMI_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the installation or machine: a row of the table."""

    name: str
    found: str
    remedy: str = ""
    """Advice where the part is missing or too small; else empty."""
    required: bool = True


def package(name: str, distribution: str, remedy: str = INSTALL) -> Part:
    """Look for an installed package."""
    try:
        return Part(name, version(distribution))
    except PackageNotFoundError:
        return Part(name, "not installed", remedy)


def gpu_parts() -> Iterator[Part]:
    """Examine what training on GPUs needs: driver, CUDA, memory, NCCL, bitsandbytes."""
    gpus = _query()
    yield _driver(gpus)
    for index, name, _, total, used in gpus:
        memory = f"{int(total) / 1024:.0f} GiB, {int(used) / 1024:.1f} in use"
        busy = int(used) > USED_MIB
        remedy = "another process holds memory: end it, or vLLM may not start" if busy else ""
        yield Part(f"GPU {index}", f"{name}, {memory}", remedy, required=False)
    yield from _cuda()
    yield package("bitsandbytes", "bitsandbytes", f"{INSTALL} DEVICE=gpu: 4-bit models need it")


def _query() -> list[list[str]]:
    """Ask the driver for its GPUs: index, name, version, total and used MiB; none without it."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SMI_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = [line.split(", ") for line in done.stdout.splitlines()]
    return [row for row in rows if len(row) == len(QUERY.split(",")) and row[3].isdecimal()]


def _driver(gpus: list[list[str]]) -> Part:
    if not gpus:
        remedy = (
            "nvidia-smi finds no GPU: install the driver; in a container, start it with NVIDIA's "
            "runtime and a GPU (docs/kubernetes.md, runtimeClassName)"
        )
        return Part("NVIDIA driver", "none", remedy)
    found = gpus[0][2]
    old = int(found.partition(".")[0]) < DRIVER
    return Part("NVIDIA driver", found, f"install {DRIVER} or later" if old else "")


def _cuda() -> Iterator[Part]:
    """Ask torch for CUDA and NCCL."""
    import torch

    if torch.version.cuda is None:
        yield Part("CUDA", "not in this build of torch", f"{INSTALL} DEVICE=gpu")
        return
    ready = torch.cuda.is_available()
    remedy = "" if ready else "torch cannot use the GPUs: the driver is too old, or none is visible"
    yield Part("CUDA", torch.version.cuda, remedy)
    if not torch.distributed.is_nccl_available():
        yield Part("NCCL", "not in this build of torch", f"{INSTALL} DEVICE=gpu")
    elif ready:
        yield Part("NCCL", ".".join(map(str, torch.cuda.nccl.version())))
