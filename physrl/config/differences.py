"""Comparison of configurations: the settings that are not defaults, or not another's."""

from collections.abc import Mapping, Sequence
from typing import Any

from physrl.config.base import Section

PLACES = ("name", "output", "storage")
"""Keys of a run that say where it is, not what it is."""
UNASKED = ("evaluation", "runtime", "checkpoint", "tracking", "algorithm", "warm_start")
"""Tables that do not change a question: they say which ones are asked, or how a run is trained."""


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Map dotted keys to the values of a tree that are no tables."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def changed_settings(config: Section) -> dict[str, Any]:
    """Return the settings that are not defaults, by dotted key, without the places of the run."""
    tree = config.model_dump(mode="json", exclude_defaults=True)
    return {key: value for key, value in flatten(tree).items() if key not in PLACES}


def differences(configs: Sequence[Section]) -> dict[str, tuple[Any, ...]]:
    """Map each dotted key whose values differ to the configurations' values, None if absent."""
    trees = [flatten(config.model_dump(mode="json")) for config in configs]
    keys = dict.fromkeys(key for tree in trees for key in tree if key not in PLACES)
    rows = {key: tuple(tree.get(key) for tree in trees) for key in keys}
    return {
        key: values for key, values in rows.items() if any(each != values[0] for each in values)
    }


def changed_questions(run: Section, asked: Section) -> dict[str, Any]:
    """Return the settings of questions to a policy that differ from its run's, by dotted key."""
    found = differences([run, asked])
    return {key: value for key, (_, value) in found.items() if key.partition(".")[0] not in UNASKED}


def show_value(value: Any) -> str:
    """Write a setting as a configuration file does."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(show_value, value))}]"
    return str(value)
