"""Loading of configurations: a YAML file, dotted overrides, one merge, one validation."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from physrl.config.base import Section
from physrl.config.dataset import CollectConfig
from physrl.config.run import DEFAULT_TYPES, RunConfig
from physrl.config.strict_yaml import YamlError, load_yaml
from physrl.config.suggestions import closest, suggest_key
from physrl.errors import ConfigError

Tree = dict[str, Any]
AnySection = TypeVar("AnySection", bound=Section)


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> RunConfig:
    """Load and validate the configuration of a file and `key.path=value` overrides.

    Raises:
        ConfigError: the file cannot be read, or a key or value is wrong; all mistakes, in one line.
    """
    return validate(read_tree(path, overrides))


def parse_config(text: str, name: str) -> RunConfig:
    """Validate the configuration in a file's text.

    Raises:
        ConfigError: as `load_config`; the message has this name of the file.
    """
    return validate(_parse_yaml(text, name))


def load_collect_config(path: Path | None, overrides: Sequence[str] = ()) -> CollectConfig:
    """Load and validate the configuration of a dataset from a file and overrides.

    Raises:
        ConfigError: as `load_config`.
    """
    return validated(CollectConfig, read_tree(path, overrides))


def validate(tree: Mapping[str, Any]) -> RunConfig:
    """Validate the configuration of a run in a tree of plain values, such as a trial's.

    Raises:
        ConfigError: a key or value is wrong.
    """
    return validated(RunConfig, tree)


def read_tree(path: Path | None, overrides: Sequence[str]) -> Tree:
    """Merge overrides into a file's values, without validation.

    Raises:
        ConfigError: the file cannot be read, or an override is not of its form.
    """
    tree = read_yaml(path) if path is not None else {}
    given: Tree = {}
    for override in overrides:
        given = merge(given, parse_override(override), by_type=False)
    return merge(tree, given)


def validated(section: type[AnySection], tree: Mapping[str, Any]) -> AnySection:
    """Validate a section in a tree of plain values.

    Raises:
        ConfigError: a key or value is wrong; all mistakes, in one line.
    """
    try:
        return section.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(describe(error, section)) from None


def find_mistakes(section: type[Section], tree: Mapping[str, Any], prefix: str) -> list[str]:
    """Describe the unknown keys and wrong values of a part of a configuration, if there are any.

    What values have to do with each other is left out: other parts may replace them.

    Args:
        prefix: key of the part and a dot.
    """
    try:
        section.model_validate(tree)
    except ValidationError as error:
        own = (each for each in error.errors(include_url=False) if each["type"] != "value_error")
        return [_describe_one(each, section, prefix) for each in own]
    return []


def read_yaml(path: Path) -> Tree:
    """Read a YAML file whose top level is a table."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"config file {path} does not exist: check --config") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(
            f"config file {path} cannot be read: {reason}: name a readable YAML file"
        ) from None
    return _parse_yaml(text, str(path))


def _parse_yaml(text: str, name: str) -> Tree:
    try:
        tree = load_yaml(text)
    except YamlError as error:
        raise ConfigError(f"config file {name} is not valid YAML: {error}") from None
    if not isinstance(tree, dict | None):
        raise ConfigError(
            f"config file {name} holds a {type(tree).__name__}, not a table of keys: write lines "
            "such as 'seed: 1'"
        )
    return tree or {}


def parse_override(text: str) -> Tree:
    """Parse `a.b=1` to {"a": {"b": 1}}; the value is read as YAML.

    Raises:
        ConfigError: the text is not of that form.
    """
    key, equals, value = text.partition("=")
    names = key.split(".")
    if not equals or not all(name.isidentifier() for name in names):
        raise ConfigError(
            f"override '{text}' is not of the form key.path=value: write, for example, "
            "algorithm.lr=1e-5"
        )
    try:
        tree: Any = load_yaml(value)
    except YamlError as error:
        raise ConfigError(
            f"override '{text}': '{value}' is not a YAML value ({error}): quote it"
        ) from None
    for name in reversed(names):
        tree = {name: tree}
    return dict(tree)


def merge(base: Mapping[str, Any], over: Mapping[str, Any], *, by_type: bool = True) -> Tree:
    """Merge `over` into `base`, table by table; values of `over` win.

    Args:
        by_type: Replace a table whose `type` changes whole: GSPO's clip range must not become
            GRPO's.
    """
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            old_type = old.get("type", DEFAULT_TYPES.get(key))
            changes_type = by_type and "type" in value and value["type"] != old_type
            merged[key] = dict(value) if changes_type else merge(old, value, by_type=by_type)
        else:
            merged[key] = value
    return merged


def dump_yaml(config: RunConfig) -> str:
    """Return the fully resolved configuration as YAML."""
    return str(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))


def describe(error: ValidationError, section: type[Section]) -> str:
    """Return all errors of a validation in one line: key, value, reason and remedy of each."""
    errors = error.errors(include_url=False)
    return "; and ".join(_describe_one(each, section) for each in errors)


def _describe_one(error: Mapping[str, Any], section: type[Section], prefix: str = "") -> str:
    path = [part for part in error["loc"] if part != "[key]"]
    where = prefix + ".".join(map(str, path))
    if error["type"] == "extra_forbidden":
        guess = suggest_key(section, path)
        guess = guess and prefix + guess
        remedy = f"did you mean {guess}?" if guess else "remove it or check its spelling"
        return f"unknown key '{where}': {remedy} (docs/config.md lists all)"
    if error["type"] == "missing":
        return f"{where} is missing: set {where}=VALUE"
    if error["type"] == "value_error":
        message = str(error["msg"]).removeprefix("Value error, ")
        return f"{where} {message}" if where else message
    if error["type"] in ("tuple_type", "list_type"):
        return f"{where} is {error['input']!r}: write a list, such as [{error['input']}]"
    reason = f"{error['msg'][0].lower()}{error['msg'][1:]}"
    return f"{where} is {error['input']!r}: {reason}{_suggest_value(error)}"


def _suggest_value(error: Mapping[str, Any]) -> str:
    """Suggest one of the values that a key may have, if the given one is similar to it."""
    context = error.get("ctx") or {}
    listed = str(context.get("expected") or context.get("names") or "")
    names = re.findall(r"[\w.-]+", listed.replace(" or ", " "))
    guess = closest(str(error["input"]), names)
    return f"; did you mean {guess}?" if guess else ""
