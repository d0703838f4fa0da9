"""Writes docs/config.md from the configuration's own classes.

python -m jobs.config_reference
"""

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from physrl.config import RunConfig
from physrl.config.base import Section
from physrl.config.baseline import BaselineConfig
from physrl.config.dataset import CollectConfig
from physrl.config.study import StudyConfig

PAGE = Path(__file__).parents[1] / "docs" / "config.md"
HEAD = """# Configuration

Written by `python -m jobs.config_reference` (`make docs`) from `physrl/config/`: edit there.

Every key may stand in a YAML file or, as `key.path=value`, on the command line, where it wins. A
table whose `type` changes is replaced whole. Unknown keys are refused. The resolved configuration
of a run lies in its folder as `config.yaml`.
"""
WORDS = {"int": "integer", "float": "number", "str": "text", "bool": "true or false"}
BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}", "pattern": "matches `{}`"}


def main() -> None:
    """Write the page."""
    PAGE.write_text(reference())


def reference() -> str:
    """The page: a heading and a table for each section, in the order of the classes."""
    written: set[type[Section]] = set()
    run = _section("the top", RunConfig, written)
    others: dict[str, type[Section]] = {
        "collect": CollectConfig,
        "study": StudyConfig,
        "baseline": BaselineConfig,
    }
    pages = [line for title, each in others.items() for line in _section(title, each, written)]
    return "\n".join([HEAD, *run, *pages])


def _section(title: str, section: type[Section], written: set[type[Section]]) -> Iterator[str]:
    """A section's table, then those of the sections in it that are not yet written."""
    written.add(section)
    yield f"## {title}\n\n{section.__doc__}\n"
    yield "| key | type | default | meaning |\n| --- | --- | --- | --- |"
    inner: list[tuple[str, type[Section]]] = []
    for name, field in section.model_fields.items():
        meaning = " ".join(escape(field.description or "", quote=False).split())
        yield f"| `{name}` | {_type(field)} | {_default(field)} | {meaning} |"
        path = name if section is RunConfig else f"{title}.{name}"
        inner += [(path, one) for one in _sections(field.annotation)]
    yield ""
    for path, one in inner:
        if one not in written:
            kind = one.model_fields.get("type")
            named = f"{path} (type: {kind.default})" if kind else path
            yield from _section(named, one, written)


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)


def _type(field: FieldInfo) -> str:
    bounds = [
        text.format(getattr(constraint, name))
        for constraint in field.metadata
        for name, text in BOUNDS.items()
        if getattr(constraint, name, None) is not None
    ]
    return f"{_words(field.annotation)} {', '.join(bounds)}".strip()


def _words(annotation: Any) -> str:
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if get_origin(annotation) is tuple:
        kinds = list(dict.fromkeys(_words(part) for part in parts if part is not ...))
        return f"list of {' and '.join(kinds)}" if ... in parts else f"{len(parts)} x {kinds[0]}"
    if get_origin(annotation) is dict:
        return f"table of {_words(parts[0])} to {_words(parts[1])}"
    if hasattr(annotation, "__metadata__"):
        return _type(FieldInfo.from_annotation(annotation))
    if parts:
        return " or ".join(dict.fromkeys(_words(part) for part in parts))
    if annotation is type(None):
        return "null"
    if issubclass(annotation, Section):
        return "table"
    name: str = annotation.__name__
    return WORDS.get(name, name.lower())


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, Section):
        kind = getattr(field.default, "type", None)
        return f"type `{kind}`" if kind else "its keys' defaults"
    return f"`{json.dumps(field.default, default=str)}`"


if __name__ == "__main__":
    main()
