"""What would fail minutes later is found here, before anything slow starts."""

import json
import os
import socket
import tempfile
from pathlib import Path

from physrl.config import RunConfig
from physrl.errors import UserError

OFFLINE = {"1", "on", "true", "yes"}


def check(config: RunConfig) -> None:
    """Look at every folder, model and port that a run needs.

    Raises:
        UserError: the first that is missing or unfit, with its value and the remedy.
    """
    check_model("model.path", config.model.path)
    if config.model.adapter is not None:
        _check_adapter(Path(config.model.adapter), config)
    if config.evaluation.real_images is not None:
        from physrl.data.photos import load_photos

        load_photos(config.evaluation.real_images)
    # With an address a cluster is joined, and its dashboard holds the port by right.
    if config.runtime.dashboard and "RAY_ADDRESS" not in os.environ:
        _check_port(config.runtime.dashboard_port)
    _check_writable(config.folder)


def check_model(key: str, path: str) -> None:
    """Refuse a checkpoint folder that is missing or is none, and a hub name without the hub.

    Raises:
        UserError: with the value of `key`.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(
                f"{key} is {path}: the folder holds no config.json, so it is no checkpoint"
            )
    elif _looks_local(path):
        raise UserError(f"{key} is {path}: there is no such folder; name one that exists")
    elif _offline() and not _is_cached(path):
        raise UserError(
            f"{key} is {path}: HF_HUB_OFFLINE is set and the model is not in the cache; unset it "
            "or name a folder"
        )


def _looks_local(path: str) -> bool:
    """Whether a path that does not exist was meant as a folder: a hub name is `owner/name`."""
    return path.startswith(("/", ".", "~")) or path.count("/") != 1 or Path(path).parent.is_dir()


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in OFFLINE


def _is_cached(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json"), str)


def _check_adapter(folder: Path, config: RunConfig) -> None:
    lora = config.model.lora
    if lora is None:
        raise UserError(f"model.adapter is {folder} but model.lora is null: set model.lora.rank")
    try:
        rank = json.loads((folder / "adapter_config.json").read_text())["r"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"model.adapter is {folder}: no readable adapter_config.json there; name the folder of "
            "a PEFT adapter"
        ) from None
    if rank != lora.rank:
        raise UserError(
            f"model.lora.rank is {lora.rank} but model.adapter {folder} has rank {rank}: "
            f"set model.lora.rank={rank}"
        )


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UserError(
                f"runtime.dashboard_port is {port}: the port is in use; choose another, or set "
                "runtime.dashboard=false"
            ) from None


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"output folder {folder} cannot be written ({error.strerror}): set output=FOLDER to "
            "one that can"
        ) from None
