"""The folder of a run: what it holds says how to repeat it."""

import hashlib
import logging
import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import physrl
from physrl.config import RunConfig
from physrl.config.load import dump_yaml, parse_config
from physrl.config.runtime import RuntimeConfig
from physrl.errors import ConfigError, MissingObjectError
from physrl.storage.object_store import ObjectStore, open_store
from physrl.storage.restore import restore
from physrl.storage.run_files import CONFIG

PACKAGES = (
    "deepspeed", "numpy", "peft", "physrl", "pybullet", "ray", "torch", "transformers", "vllm"
)  # fmt: skip
WORKING_DIRECTORY = "working directory"
SCENE_SOURCES = ("environments", "tasks")
MAY_DIFFER: dict[str, bool | set[str]] = {
    "output": True,
    "storage": True,
    "checkpoint": True,
    "tracking": True,
    "runtime": set(RuntimeConfig.model_fields)
    - {"zero_stage", "learner_ranks", "mode", "max_staleness"},
}
"""Where a run computes, what it keeps and whom it tells; but DeepSpeed's state fits one stage and
rank count, and what waits for the learner one staleness."""
_logger = logging.getLogger(__name__)


def open_run(config: RunConfig, *, resume: bool) -> Path:
    """The run's folder, ready to be written to, with its configuration in it.

    Where the run is kept in storage too, its name is taken there, or it is brought from there if
    the folder is behind.

    Args:
        resume: continue a run that is there; where there is none, one is started.

    Raises:
        ConfigError: the folder cannot be written, or folder or storage hold a run that was not to
            be resumed, or one of another configuration.
        StorageError: the storage cannot be read or written.
    """
    folder = config.folder
    store = None if config.stored is None else open_store(config.stored)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CONFIG).exists():
            _check_resumable(config, str(folder), (folder / CONFIG).read_text(), resume)
        if store is not None:
            _restore_stored(config, store, resume)
        started = (folder / CONFIG).exists()
        text = (folder / CONFIG).read_text() if started else _config_text(config)
        if store is not None:
            _take_name(config, store, text, resume)
        if not started:
            partial = folder / f".{CONFIG}"
            partial.write_text(text)
            partial.replace(folder / CONFIG)
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


def working_directory(text: str) -> Path | None:
    """Where the run of a config.yaml was started, if the text says so."""
    found = re.search(f"^# {WORKING_DIRECTORY}: (.+)$", text, re.MULTILINE)
    return None if found is None else Path(found[1])


def _git_commit() -> str | None:
    folder = Path(physrl.__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _config_text(config: RunConfig) -> str:
    # Comments, so that the file is itself a configuration that can be run again.
    facts = versions() | {WORKING_DIRECTORY: str(Path.cwd())}
    comments = "".join(f"# {name}: {fact}\n" for name, fact in facts.items())
    return comments + dump_yaml(config)


def _restore_stored(config: RunConfig, store: ObjectStore, resume: bool) -> None:
    try:
        text = store.get(CONFIG).decode()
    except MissingObjectError:
        return
    except UnicodeDecodeError:
        text = "unreadable"
    _check_resumable(config, store.location, text, resume)
    restore(store, config.folder)


def _take_name(config: RunConfig, store: ObjectStore, text: str, resume: bool) -> None:
    """Claim the run's name in storage: of two that start at the same time one is refused."""
    if not store.create(CONFIG, text.encode()):
        _check_resumable(config, store.location, store.get(CONFIG).decode(), resume)


def _check_resumable(config: RunConfig, place: str, text: str, resume: bool) -> None:
    """Refuse to go on with a run that was not asked for, or has another configuration."""
    if not resume:
        raise ConfigError(
            f"{place} already holds a run: continue it with --resume, choose another name=, or "
            "delete it"
        )
    old = parse_config(text, f"{place}/{CONFIG}")
    before, now = (each.model_dump(mode="json", exclude=MAY_DIFFER) for each in (old, config))
    # What lies in the run's own folder, such as a warm start's weights, has moved with it.
    before = _moved(before, old.output, config.output)
    difference = _first_difference(before, now)
    started_in = working_directory(text)
    if difference is not None and started_in is not None:
        # A submission's files too: Ray unpacks each into a folder of its own.
        moved = _moved(before, started_in, Path.cwd())
        difference = difference if _first_difference(moved, now) else None
    if difference is not None:
        key, was, wanted = difference
        raise ConfigError(
            f"{place} holds a run with {key}={was}, not {wanted}: resume it with {key}={was}, or "
            "choose another name="
        )
    if f"# scene generator: {scene_generator_hash()}" not in text:
        _logger.warning("%s was started with another scene generator: its scenes differ", place)


def _moved(tree: Any, old: Path, new: Path) -> Any:
    """The same values with paths inside one folder led to another."""
    if isinstance(tree, dict):
        return {key: _moved(value, old, new) for key, value in tree.items()}
    if isinstance(tree, str) and Path(tree).is_relative_to(old):
        return str(new / Path(tree).relative_to(old))
    return tree


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
