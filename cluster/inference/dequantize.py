"""The model that servers load: a quantized base is dequantized on the machine's disk."""

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from physrl.config.model import ModelConfig
from physrl.storage.contents import files_content

CACHE = Path("~/.cache/physrl/dequantized")
"""Folder of the copies, one for each base and quantization, which all runs of a machine share."""


def served_model(model: ModelConfig) -> ModelConfig:
    """Return the model that a server loads: the base, or a dequantized copy of it.

    vLLM 0.32 cannot load bitsandbytes weights.
    """
    if model.quantization is None:
        return model

    def write(folder: Path) -> None:
        # In a process of its own, whose end frees all of the GPU's memory.
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            process.submit(_dequantize, model, folder).result()

    folder = local_copy(CACHE.expanduser() / base_key(model), write)
    return model.model_copy(update={"path": str(folder), "revision": None})


def base_key(model: ModelConfig) -> str:
    """Compute a key of a base's content, quantization and dtype."""
    content = files_content(Path(model.path)) or f"{model.path}@{_commit(model)}"
    return hashlib.sha256(f"{content} {model.quantization} {model.dtype}".encode()).hexdigest()[:32]


def local_copy(folder: Path, write: Callable[[Path], None]) -> Path:
    """Let `write` fill a folder, unless that is done; concurrent callers write it once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released with the process, however it ends
        if not folder.is_dir():
            partial = Path(tempfile.mkdtemp(dir=folder.parent, suffix=".part"))
            try:
                write(partial)
                partial.rename(folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    return folder


def _commit(model: ModelConfig) -> str | None:
    """Return the commit of a model on the hub."""
    from transformers import AutoConfig

    commit: str | None = AutoConfig.from_pretrained(
        model.path, revision=model.revision
    )._commit_hash
    return commit


def _dequantize(model: ModelConfig, folder: Path) -> None:
    from physrl.models.loading import save_dequantized  # imports torch

    save_dequantized(model, folder)
