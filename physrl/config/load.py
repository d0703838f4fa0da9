"""YAML file, then dotted overrides, then one validation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from physrl.config.run import DEFAULT_TYPES, RunConfig
from physrl.errors import ConfigError

Tree = dict[str, Any]


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> RunConfig:
    """The validated configuration of a file and `key.path=value` overrides.

    Raises:
        ConfigError: the file cannot be read, or a key or value is wrong; the first mistake, in one
            line.
    """
    tree = read_yaml(path) if path is not None else {}
    for override in overrides:
        tree = merge(tree, parse_override(override))
    return validate(tree)


def validate(tree: Mapping[str, Any]) -> RunConfig:
    """A configuration from a tree of plain values, such as a trial's.

    Raises:
        ConfigError: a key or value is wrong.
    """
    try:
        return RunConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(describe(error)) from None


def read_yaml(path: Path) -> Tree:
    """A YAML file whose top is a table."""
    try:
        tree = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"config file {path} does not exist: check --config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        line = " ".join(str(error).split())
        raise ConfigError(f"config file {path} is not valid YAML: {line}") from None
    if not isinstance(tree, dict | None):
        raise ConfigError(f"config file {path} holds a {type(tree).__name__}, not a table of keys")
    return tree or {}


def parse_override(text: str) -> Tree:
    """`a.b=1` to {"a": {"b": 1}}; the value is read as YAML.

    Raises:
        ConfigError: the text is not of that form.
    """
    key, equals, value = text.partition("=")
    names = key.split(".")
    if not equals or not all(name.isidentifier() for name in names):
        raise ConfigError(f"override '{text}' is not of the form key.path=value")
    try:
        tree: Any = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"override '{text}': '{value}' is not a YAML value; quote it") from None
    for name in reversed(names):
        tree = {name: tree}
    return dict(tree)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Tree:
    """`over` laid on `base`, table by table.

    A table whose `type` changes is replaced whole: GSPO's clip range must not become GRPO's.
    """
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            old_type = old.get("type", DEFAULT_TYPES.get(key))
            changes_type = "type" in value and value["type"] != old_type
            merged[key] = dict(value) if changes_type else merge(old, value)
        else:
            merged[key] = value
    return merged


def dump_yaml(config: RunConfig) -> str:
    """The fully resolved configuration as YAML."""
    return str(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))


def describe(error: ValidationError) -> str:
    """A validation's first mistake: where, what is wrong, the value; how many more there are."""
    errors = error.errors(include_url=False)
    first = errors[0]
    # Tagged unions add the tag (grpo, ...) to the path, which is no key of the file.
    tags = {"grpo", "gspo", "sft", "paper", "simulated"}
    where = ".".join(str(part) for part in first["loc"] if part not in tags)
    if first["type"] == "extra_forbidden":
        message = (
            f"unknown key '{where}': remove it or check its spelling (docs/config.md lists all)"
        )
    elif first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        message = f"{where} {message}" if where else message
    else:
        message = f"{where} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"
    more = len(errors) - 1
    return message + (f" (and {more} more)" if more else "")
