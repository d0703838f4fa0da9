"""Write docs/config.md and the table of docs/tasks.md from the classes that they describe.

python -m jobs.config_reference
"""

import json
import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from physrl.config import RunConfig
from physrl.config.base import Section, TypedSection
from physrl.config.baseline import BaselineConfig
from physrl.config.dataset import CollectConfig
from physrl.config.implementation import TypedRegistry
from physrl.config.people import ExclusionConfig, ExperimentConfig
from physrl.config.study import StudyConfig
from physrl.config.task import TASKS, AnyTaskName, TaskName

DOCS = Path(__file__).parents[1] / "docs"
PAGE, TASKS_PAGE = DOCS / "config.md", DOCS / "tasks.md"
HEAD = """# Configuration

Written by `python -m jobs.config_reference` (`make docs`) from `physrl/config/`: edit there.

Every key may stand in a YAML file or, as `key.path=value`, on the command line, where it wins. A
table whose `type` changes is replaced whole. Unknown keys are refused. The resolved configuration
of a run lies in its folder as `config.yaml`.

Keys of `train`, `sft`, `evaluate`, `preview` and `doctor` stand under [run](#run) and in the
sections after it; [collect](#collect), [baseline](#baseline), [study](#study) (`physrl sweep`),
[people](#people) (`physrl humans export`) and [exclusion](#exclusion) (`physrl humans import`) have
keys of their own. Installed packages may add tasks, algorithms and rewards to those listed
here ([how](howto/add-a-task.md)).
"""
MAIN: dict[str, type[Section]] = {
    "run": RunConfig,
    "collect": CollectConfig,
    "baseline": BaselineConfig,
    "study": StudyConfig,
    "people": ExperimentConfig,
    "exclusion": ExclusionConfig,
}
COLUMNS = "| key | type | default | meaning |\n| --- | --- | --- | --- |"
WORDS = {"int": "integer", "float": "number", "str": "text", "bool": "true or false"}
BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}", "pattern": "matches `{}`"}
BEGIN, END = "<!-- tasks: written by python -m jobs.config_reference -->\n", "<!-- /tasks -->"
TASK_NAMES = [get_args(each)[1] for each in (TaskName, AnyTaskName)]


def main() -> None:
    """Write both pages."""
    PAGE.write_text(Reference().page())
    TASKS_PAGE.write_text(with_task_table(TASKS_PAGE.read_text()))


def with_task_table(page: str) -> str:
    """Return the page about tasks with its table written anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{task_table()}{END}{after}"


def task_table() -> str:
    """Return what each built-in task shows, asks and takes as an answer, a row each."""
    lines = ["| name | image | question | answer | attempts |", "| --- | --- | --- | --- | --- |"]
    for task in map(TASKS.__getitem__, TASKS.built_in):
        image = (task.__doc__ or "").split("\n")[0].rstrip(".")
        answer = " and ".join(f"`{axis}`" for axis in task.axes) or "`Yes` or `No`"
        row = (f"`{task.name}`", image, task.wordings[0], answer, str(task.attempts))
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


class Reference:
    """The page of all keys: a heading and a table for each section, each class once."""

    def __init__(self) -> None:
        self._headings: dict[type[Section], str] = {}
        for title, section in MAIN.items():
            self._name(title, section)

    def page(self) -> str:
        """Return the page."""
        written: set[type[Section]] = set()
        sections = (self._section(each, written) for each in MAIN.values())
        return "\n".join([HEAD, *(line for lines in sections for line in lines)])

    def _name(self, heading: str, section: type[Section]) -> None:
        """Name a section and those in it by the first path that leads there."""
        if section in self._headings:
            return
        self._headings[section] = heading
        for name, field in section.model_fields.items():
            path = name if section is RunConfig else f"{heading}.{name}"
            for inner in _tables(field):
                self._name(_titled(path, inner), inner)

    def _section(self, section: type[Section], written: set[type[Section]]) -> Iterator[str]:
        if section in written:
            return
        written.add(section)
        yield f"## {self._headings[section]}\n\n{section.__doc__}\n"
        rows = self._rows(section)
        bases = [base for base in section.__mro__[1:] if base in self._headings]
        if bases and issubclass(section, TypedSection):
            shared = set(self._rows(bases[0]))
            rows = [row for row in rows if row not in shared]
            if shared:
                yield f"Keys of {self._link(bases[0])}; these are new or differ:\n"
        if rows:
            yield "\n".join([COLUMNS, *rows, ""])
        for name, field in section.model_fields.items():
            inner = _tables(field)
            if section is RunConfig and inner and all(each in written for each in inner):
                yield f"## {name}\n\nKeys of {self._link(inner[0])}.\n"
            for each in inner:
                yield from self._section(each, written)

    def _link(self, section: type[Section]) -> str:
        heading = self._headings[section]
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        return f"[{heading}](#{anchor})"

    def _rows(self, section: type[Section]) -> list[str]:
        return [
            f"| `{name}` | {self._type(field)} | {_default(field)} | "
            f"{' '.join(escape(field.description or '', quote=False).split())} |"
            for name, field in section.model_fields.items()
            if name != "type" or field.default
        ]

    def _type(self, field: FieldInfo) -> str:
        if tables := _tables(field):
            words = "table" if get_origin(field.annotation) is not dict else "table of tables"
            return f"{words}: {self._link(tables[0])}{_alternatives(field, tables)}"
        return _type(field)


def _titled(path: str, section: type[Section]) -> str:
    kind = section.model_fields.get("type")
    return path if kind is None or not kind.default else f"{path} (type: {kind.default})"


def _tables(field: FieldInfo) -> list[type[Section]]:
    """Return the sections that a field may hold: of a typed one its base and all built-in types."""
    for registry in field.metadata:
        if isinstance(registry, TypedRegistry):
            types = (registry[name].config for name in registry.built_in)
            return [registry.bases[0], *types]
    return list(_sections(field.annotation))


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)


def _type(field: FieldInfo) -> str:
    if any(each in field.metadata for each in TASK_NAMES):
        return "[task](tasks.md)"
    bounds = [
        text.format(getattr(constraint, name))
        for constraint in field.metadata
        for name, text in BOUNDS.items()
        if getattr(constraint, name, None) is not None
    ]
    return f"{_words(field.annotation)} {', '.join(bounds)}".strip()


def _alternatives(field: FieldInfo, tables: Sequence[Any]) -> str:
    """Return what else than one of the tables a field may hold."""
    is_union = get_origin(field.annotation) in (Union, UnionType)
    others = [each for each in get_args(field.annotation) if is_union and each not in tables]
    return "".join(f" or {_words(each)}" for each in others)


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
    name: str = annotation.__name__
    return WORDS.get(name, name.lower())


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, Section):
        kind = getattr(field.default, "type", None)
        return f"type `{kind}`" if kind else "its keys' defaults"
    return f"`{json.dumps(field.default, default=_set_keys)}`"


def _set_keys(value: object) -> object:
    if isinstance(value, Section):
        return value.model_dump(mode="json", exclude_defaults=True)
    return str(value)


if __name__ == "__main__":
    main()
