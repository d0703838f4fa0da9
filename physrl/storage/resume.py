"""The rule by which a run may be resumed: its configuration must not have changed."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physrl.config import RunConfig
from physrl.config.load import parse_config
from physrl.config.runtime import RuntimeConfig
from physrl.errors import ConfigError
from physrl.storage.contents import input_contents
from physrl.storage.provenance import has_same_scenes, noted_contents, working_directory
from physrl.storage.run_files import CONFIG

MAY_DIFFER: dict[str, bool | set[str]] = {
    "output": True,
    "storage": True,
    "checkpoint": True,
    "tracking": True,
    "runtime": set(RuntimeConfig.model_fields) - {"mode", "max_staleness"},
}
"""Keys that a resumed run may change: places, retention, trackers and processes. Waiting
completions fit one staleness."""
_logger = logging.getLogger(__name__)


def check_resumable(config: RunConfig, location: str, text: str, resume: bool) -> None:
    """Refuse to resume a run without --resume, or with another configuration.

    Args:
        location: the run's folder or place in storage, for messages.
        text: content of the run's config.yaml.
        resume: whether --resume is given.

    Raises:
        ConfigError: `resume` is false, a key differs (names both values), or the content of an
            input does.
    """
    if not resume:
        raise ConfigError(
            f"{location} already holds a run: resume it with --resume, choose another name=, or "
            "delete it"
        )
    old = parse_config(text, f"{location}/{CONFIG}")
    before, now = (each.model_dump(mode="json", exclude=MAY_DIFFER) for each in (old, config))
    # Files in the run's own folder, such as a warm start's weights, have moved with it.
    before = _moved(before, old.output, config.output)
    difference = _first_difference(before, now)
    started_in = working_directory(text)
    if difference is not None and started_in is not None:
        # So have a submission's files: Ray unpacks each submission into a new folder.
        moved = _moved(before, started_in, Path.cwd())
        difference = difference if _first_difference(moved, now) else None
    if difference is not None:
        key, old_value, new_value = difference
        if key == "algorithm.steps" and new_value > old_value:
            raise ConfigError(
                f"{location} holds a run of {old_value} steps, not {new_value}: continue it with "
                f"physrl extend {config.folder} steps={new_value}, whose learning rate goes on as "
                "in a run of that many, or choose another name="
            )
        raise ConfigError(
            f"{location} holds a run with {key}={old_value}, not {new_value}: resume it with "
            f"{key}={old_value}, or choose another name="
        )
    _check_contents(config, location, text)
    if not has_same_scenes(text):
        _logger.warning("%s was started with another scene generator: its scenes differ", location)


def _check_contents(config: RunConfig, location: str, text: str) -> None:
    """Refuse inputs that were replaced under the same name since the run was started."""
    noted = noted_contents(text)
    for key, digest in input_contents(config).items():
        if noted.get(key, digest) != digest:
            raise ConfigError(
                f"{location} holds a run whose {key} had another content (what was there has been "
                "replaced since): put it back, or choose another name="
            )


def _moved(tree: Any, old: Path, new: Path) -> Any:
    """Replace one folder by another in every path of a tree."""
    if isinstance(tree, dict):
        return {key: _moved(value, old, new) for key, value in tree.items()}
    if isinstance(tree, str) and Path(tree).is_relative_to(old):
        return str(new / Path(tree).relative_to(old))
    return tree


def _first_difference(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> tuple[str, Any, Any] | None:
    """Find the first dotted key whose values differ, and both values."""
    keys = [*old, *(key for key in new if key not in old)]
    for key in sorted(keys, key=lambda key: key != "type"):  # another type explains other keys
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            nested = _first_difference(before, now)
            if nested is not None:
                return f"{key}.{nested[0]}", nested[1], nested[2]
        elif before != now:
            return key, before, now
    return None
