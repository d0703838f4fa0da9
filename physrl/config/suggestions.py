"""Suggestions for misspelled keys and values."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic.fields import FieldInfo

from physrl.config.base import Section
from physrl.config.implementation import TypedRegistry

CUTOFF = 0.6
"""Similarity from which a name is suggested."""
OTHER_NAMES = {
    "batch_size": "prompts_per_step",
    "epsilon": "clip_low",
    "epsilon_high": "clip_high",
    "learning_rate": "lr",
    "max_steps": "steps",
    "num_generations": "group_size",
    "num_train_epochs": "epochs",
    "per_device_train_batch_size": "prompts_per_step",
    "steps_per_generation": "updates_per_rollout",
}
"""Keys by the names that TRL and transformers have for them, where these are not similar."""


def suggest_key(section: type[Section], where: Sequence[Any]) -> str | None:
    """Return the dotted key that an unknown one probably means; None without a similar one.

    Prefers keys of the same table; a key that another table has is suggested with its path.

    Args:
        where: path of the unknown key.
    """
    *parents, name = map(str, where)
    name = OTHER_NAMES.get(name, name)
    tables = [section]
    for part in parents:
        found = (each for table in tables for each in _inner(table, part))
        tables = list(found) or tables  # an index or the name of an entry
    siblings = {field for table in tables for field in table.model_fields}
    if match := closest(name, siblings):
        return ".".join([*parents, match])
    elsewhere: dict[str, str] = {}
    for key in sorted(_keys(section), key=lambda key: key.count(".")):  # outer and earlier ones win
        elsewhere.setdefault(key.rpartition(".")[2], key)
    if name in elsewhere:
        return elsewhere[name]
    return elsewhere[match] if (match := closest(name, elsewhere)) else None


def closest(name: str, names: Iterable[str]) -> str | None:
    """Return the most similar of some names; None if all are too different."""
    matches = get_close_matches(name, list(names), 1, CUTOFF)
    return matches[0] if matches else None


def _inner(table: type[Section], name: str) -> list[type[Section]]:
    """List the tables that a key of a table may hold."""
    field = table.model_fields.get(name)
    return [] if field is None else list(tables_of(field))


def tables_of(field: FieldInfo) -> Iterator[type[Section]]:
    """Yield the tables that a field may hold: of a typed one all types."""
    for registry in field.metadata:
        if isinstance(registry, TypedRegistry):
            yield from (registry[name].config for name in registry.built_in)
            return
    yield from _sections(field.annotation)


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)


def _keys(section: type[Section], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of a table and of its inner tables."""
    for name, field in section.model_fields.items():
        yield f"{prefix}{name}"
        for inner in tables_of(field):
            yield from _keys(inner, f"{prefix}{name}.")
