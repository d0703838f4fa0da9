"""Wrong edits of another kind than misspellings: what a manifest lacks, borrows or holds twice.

Fields that the schemas know and the chart does not use are added; entries are doubled; values are
taken from elsewhere or emptied; objects vanish, come twice or come from outside; a word is replaced
everywhere at once, so that the manifests still agree with each other; two edits come together.
"""

import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from kubernetes_validate import utils

from tests.helm.chart import Document
from tests.helm.crds import find_crds, read_crd
from tests.helm.mutants import location, mutants
from tests.helm.schemas import CRDS, KUBERNETES

Keys = tuple[str, ...]
STRANGERS = Path(__file__).parent / "strangers.yaml"
"""Objects that a new template might bring and that no release may hold."""
WORD = re.compile(r"[A-Za-z0-9_./-]{3,}")
DEEPEST = 5
"""Levels of required fields that are filled in an added field."""
BORROWED = 3
"""Values that are borrowed for a place, of all values at the same key elsewhere."""


@dataclass(frozen=True, slots=True)
class Edited:
    """All objects of a release after a wrong edit; `changed` are those to compare with schemas."""

    what: str
    objects: list[Document]
    changed: list[Document]


def edits(objects: list[Document]) -> Iterator[Edited]:
    """Yield every edit of the rendered objects except pairs."""
    elsewhere = _values_by_key(objects)
    for index, document in enumerate(objects):
        for what, changed in _changes(document, (), _schema(document), elsewhere):
            label = f"{document['kind']} {what}"
            yield Edited(label, [*objects[:index], changed, *objects[index + 1 :]], [changed])
    yield from _of_objects(objects)
    yield from _everywhere(objects)


def pairs(objects: list[Document], count: int, seed: int) -> Iterator[Edited]:
    """Yield random pairs of small edits, in one object or in two."""
    rng = random.Random(seed)
    small = [list(mutants(document)) for document in objects]
    for _ in range(count):
        one, two = rng.randrange(len(objects)), rng.randrange(len(objects))
        first = rng.choice(small[one])
        changed = {one: first.document}
        again = list(mutants(first.document)) if one == two else small[two]
        second = rng.choice(again)
        changed[two] = second.document
        edited = [changed.get(index, document) for index, document in enumerate(objects)]
        what = " & ".join(f"{m.kind} {m.location} {m.operation}" for m in (first, second))
        yield Edited(f"pair: {what}", edited, list(changed.values()))


Change = tuple[str, Any]


def _changes(
    value: Any, path: Keys, schema: Any, elsewhere: dict[str, list[Any]]
) -> Iterator[Change]:
    """Yield (description, changed value) for a value and everything below it."""
    schema = _resolved(schema)
    if isinstance(value, dict):
        for name, field in sorted(schema.get("properties", {}).items()):
            if name not in value and path:
                for added in _plausible(field, name):
                    yield (
                        f"{location((*path, name))}: added {json.dumps(added)}",
                        value | {name: added},
                    )
        for key, one in value.items():
            below = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
            here = (*path, key)
            for borrowed in _borrowed(key, one, elsewhere):
                yield f"{location(here)}: borrowed", value | {key: borrowed}
            if path:
                for empty in _emptied(one):
                    yield f"{location(here)}: emptied", value | {key: empty}
            for what, new in _changes(one, here, below, elsewhere):
                yield what, value | {key: new}
    elif isinstance(value, list):
        for index, one in enumerate(value):
            here = (*path, f"[{one.get('name', index) if isinstance(one, dict) else index}]")
            yield f"{location(here)}: twice", [*value, one]
            if isinstance(one, str):
                yield f"{location(here)}: joined by *", [*value, "*"]
            for what, new in _changes(one, here, schema.get("items", {}), elsewhere):
                yield what, [*value[:index], new, *value[index + 1 :]]


def _emptied(value: Any) -> Iterator[Any]:
    if isinstance(value, str) and value:
        yield ""
        yield "*"
    elif isinstance(value, dict | list) and value:
        yield type(value)()


def _borrowed(key: str, value: Any, elsewhere: dict[str, list[Any]]) -> list[Any]:
    return [one for one in elsewhere[key] if one != value and type(one) is type(value)][:BORROWED]


def _values_by_key(objects: list[Document]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                if one not in found[key]:
                    found[key].append(one)
                collect(one)
        elif isinstance(value, list):
            for one in value:
                collect(one)

    for document in objects:
        collect(document)
    return found


def _of_objects(objects: list[Document]) -> Iterator[Edited]:
    for index, document in enumerate(objects):
        rest = [*objects[:index], *objects[index + 1 :]]
        what = f"{document['kind']}/{document['metadata']['name']}"
        yield Edited(f"{what}: gone", rest, [])
        yield Edited(f"{what}: twice", [*objects, document], [])
        renamed = document | {"metadata": document["metadata"] | {"name": "another"}}
        yield Edited(f"{what}: again under another name", [*objects, renamed], [renamed])
        yield Edited(f"{what}: under another name", [*rest, renamed], [renamed])
        moved = document | {"metadata": document["metadata"] | {"namespace": "default"}}
        yield Edited(f"{what}: in another namespace", [*rest, moved], [moved])
    for stranger in yaml.safe_load_all(STRANGERS.read_text(encoding="utf-8")):
        what = f"{stranger['kind']}/{stranger['metadata']['name']}"
        yield Edited(f"{what}: from a new template", [*objects, stranger], [stranger])


def _everywhere(objects: list[Document]) -> Iterator[Edited]:
    """Replace a word, as a key or in a value, in all objects at once."""
    for word in sorted(set(_words(objects))):
        last = "y" if word[-1] == "x" else "x"
        new = str(int(word) + 1) if word.isdecimal() else word[:-1] + last
        changed = [_replaced(document, word, new) for document in objects]
        edited = [one for one, old in zip(changed, objects, strict=True) if one != old]
        yield Edited(f"everywhere: {word} -> {new}", changed, edited)


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from (*_words(key), *_words(one))
    elif isinstance(value, list):
        for one in value:
            yield from _words(one)
    elif not isinstance(value, bool | None):
        yield from WORD.findall(str(value))


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {_replaced(key, old, new): _replaced(one, old, new) for key, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one, old, new) for one in value]
    if isinstance(value, str):
        return WORD.sub(lambda found: new if found[0] == old else found[0], value)
    return int(new) if str(value) == old and not isinstance(value, bool) else value


@cache
def _definitions() -> dict[str, Any]:
    folder = f"kubernetes-json-schema/v{KUBERNETES}.0-local-strict"
    found: dict[str, Any] = utils.schema_contents(f"{folder}/_definitions.json", KUBERNETES)
    return found["$defs"]


def _resolved(schema: Any) -> Any:
    while isinstance(schema, dict) and "$ref" in schema:
        schema = _definitions()[schema["$ref"].rpartition("/")[2]]
    return schema if isinstance(schema, dict) else {}


def _schema(document: Document) -> Any:
    kind, (group, _, version) = document["kind"], document["apiVersion"].rpartition("/")
    folder = find_crds()
    if kind in CRDS and folder is not None:
        return read_crd(folder, CRDS[kind])[version]
    ending = f".{group.partition('.')[0] or 'core'}.{version}.{kind}"
    return next((one for name, one in _definitions().items() if name.endswith(ending)), {})


def _plausible(schema: Any, name: str, depth: int = 0) -> Iterator[Any]:
    """Yield a value or two for a field that is added."""
    schema = _resolved(schema)
    if "enum" in schema:
        yield from schema["enum"][:2]
        return
    kinds = schema.get("type", "object")
    kind = next(one for one in ([kinds] if isinstance(kinds, str) else kinds) if one != "null")
    if kind == "boolean":
        yield from (True, False)
    elif kind in ("integer", "number"):
        yield from (0, 7)
    elif kind == "string":
        yield "other"
    elif kind == "array":
        yield [next(_plausible(schema.get("items", {}), name, depth + 1), "other")]
    elif schema.get("properties") and depth < DEEPEST:
        fields = {
            one: next(_plausible(schema["properties"][one], one, depth + 1), "other")
            for one in schema.get("required", ())
        }
        yield fields
    else:
        yield {"other": "other"}
