"""The folder of a run: what it holds says how to repeat it."""

import hashlib
import logging
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import physrl
from physrl.config import RunConfig, load_config
from physrl.config.load import dump_yaml
from physrl.config.run import RuntimeConfig
from physrl.errors import ConfigError

CONFIG = "config.yaml"
PACKAGES = (
    "deepspeed", "numpy", "peft", "physrl", "pybullet", "ray", "torch", "transformers", "vllm"
)  # fmt: skip
SCENE_SOURCES = ("environments", "tasks")
MAY_DIFFER: dict[str, bool | set[str]] = {
    "output": True,
    "checkpoint": True,
    "tracking": True,
    "runtime": set(RuntimeConfig.model_fields) - {"zero_stage", "learner_ranks"},
}
"""Where a run computes, what it keeps and whom it tells; but DeepSpeed's state fits one stage and
rank count."""
_logger = logging.getLogger(__name__)


def open_run(config: RunConfig, *, resume: bool) -> Path:
    """The run's folder, ready to be written to, with its configuration in it.

    Args:
        resume: continue a run that is there; where there is none, one is started.

    Raises:
        ConfigError: the folder cannot be written, holds a run that was not to be resumed, or holds
            a run of another configuration.
    """
    folder = config.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / CONFIG).exists():
            _write_config(config, folder)
            return folder
        if not resume:
            raise ConfigError(
                f"{folder} already holds a run: continue it with --resume, choose another name=, "
                "or delete the folder"
            )
        _check_same(config, folder)
    except OSError as error:
        raise ConfigError(
            f"output folder {folder} cannot be written: {error.strerror or error}: "
            "set output= to another folder"
        ) from None
    return folder


def versions() -> dict[str, str]:
    """What decides, besides the configuration, what a run finds: code, scenes and packages.

    The git commit and packages that are not there are left out.
    """
    found = {"scene generator": scene_generator_hash()}
    commit = _git_commit()
    if commit is not None:
        found["git commit"] = commit
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def scene_generator_hash() -> str:
    """SHA-256 over the source files that decide what scene i is."""
    digest = hashlib.sha256()
    package = Path(physrl.__file__).parent
    for name in SCENE_SOURCES:
        for file in sorted((package / name).glob("*.py")):
            source = file.read_bytes()
            digest.update(f"{name}/{file.name} {len(source)}\n".encode())
            digest.update(source)
    return digest.hexdigest()


def _git_commit() -> str | None:
    folder = Path(physrl.__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _write_config(config: RunConfig, folder: Path) -> None:
    # Comments, so that the file is itself a configuration that can be run again.
    comments = "".join(f"# {name}: {version}\n" for name, version in versions().items())
    partial = folder / f".{CONFIG}"
    partial.write_text(comments + dump_yaml(config))
    partial.replace(folder / CONFIG)


def _check_same(config: RunConfig, folder: Path) -> None:
    old, new = (
        each.model_dump(mode="json", exclude=MAY_DIFFER)
        for each in (load_config(folder / CONFIG), config)
    )
    difference = _first_difference(old, new)
    if difference is not None:
        key, before, now = difference
        raise ConfigError(
            f"{folder} holds a run with {key}={before}, not {now}: resume it with {key}={before}, "
            "or choose another name="
        )
    if f"# scene generator: {scene_generator_hash()}" not in (folder / CONFIG).read_text():
        _logger.warning("%s was started with another scene generator: its scenes differ", folder)


def _first_difference(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> tuple[str, Any, Any] | None:
    """The first key, dotted, whose values differ, and both values."""
    keys = [*old, *(key for key in new if key not in old)]
    for key in sorted(keys, key=lambda key: key != "type"):  # another type explains the others
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            inner = _first_difference(before, now)
            if inner is not None:
                return f"{key}.{inner[0]}", inner[1], inner[2]
        elif before != now:
            return key, before, now
    return None
