"""Every small wrong edit of a rendered manifest, made in memory by a machine."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.helm.chart import Document

Path = tuple[str, ...]
"""Keys from the manifest down; an entry of a list is `[name]`, or `[index]` without a name."""
ORDERED = {"command", "args"}
"""Lists whose order matters; elsewhere an exchange of two entries changes nothing."""
LONGEST_TEXT = 250
"""Words of a text that are changed one by one; longer texts are changed once."""
NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A manifest with a single change.

    `path` leads to the changed value in an object of `kind`; `operation` is one of misspelled key,
    misspelled, dropped, swapped, off by one, negated.
    """

    path: Path
    operation: str
    document: Document

    kind: str

    @property
    def location(self) -> str:
        """The path as text."""
        return location(self.path)


def location(path: Path) -> str:
    """Format a path as `spec.ports[http].port`."""
    return "".join(key if key.startswith("[") else f".{key}" for key in path).removeprefix(".")


def _entry(index: int, one: Any) -> str:
    name = one.get("name", index) if isinstance(one, dict) else index
    return f"[{name}]"


def mutants(document: Document) -> Iterator[Mutant]:
    """Yield every mutant of a manifest, in the order of its text."""
    for path, operation, changed in _changes(document, ()):
        yield Mutant(path, operation, changed, str(document.get("kind")))


Change = tuple[Path, str, Any]


def _changes(value: Any, path: Path) -> Iterator[Change]:
    """Yield (path, operation, changed value) for a value and everything below it."""
    if isinstance(value, dict):
        yield from _changes_of_mapping(value, path)
    elif isinstance(value, list):
        yield from _changes_of_list(value, path)
    else:
        yield from ((path, operation, new) for operation, new in _changes_of_scalar(value, path))


def _changes_of_mapping(value: dict[str, Any], path: Path) -> Iterator[Change]:
    for key, one in value.items():
        here = (*path, key)
        yield here, "dropped", {k: v for k, v in value.items() if k != key}
        wrong = misspelled(key, here)
        yield here, "misspelled key", {(wrong if k == key else k): v for k, v in value.items()}
        for where, operation, new in _changes(one, here):
            yield where, operation, {**value, key: new}
    yield from _swaps(value, path)


def _swaps(value: dict[str, Any], path: Path) -> Iterator[Change]:
    """Exchange neighboring scalars of one type."""
    scalars = [(key, one) for key, one in value.items() if not isinstance(one, dict | list)]
    for (key, one), (other, two) in pairwise(scalars):
        if type(one) is type(two) and one != two:
            yield (*path, key), "swapped", {**value, key: two, other: one}


def _changes_of_list(value: list[Any], path: Path) -> Iterator[Change]:
    for index, one in enumerate(value):
        here = (*path, _entry(index, one))
        yield here, "dropped", [*value[:index], *value[index + 1 :]]
        for where, operation, new in _changes(one, here):
            yield where, operation, [*value[:index], new, *value[index + 1 :]]
    for index, (one, two) in enumerate(pairwise(value)):
        rest = (value[:index], value[index + 2 :])
        if isinstance(one, dict) and isinstance(two, dict):
            for key in one:
                if isinstance(one[key], dict | list) or key not in two:
                    continue
                pair = [{**one, key: two[key]}, {**two, key: one[key]}]
                if pair not in ([one, two], [two, one]):
                    yield (*path, _entry(index, one), key), "swapped", [*rest[0], *pair, *rest[1]]
        elif path[-1] in ORDERED and one != two:
            yield (*path, f"[{index}]"), "swapped", [*rest[0], two, one, *rest[1]]


def _changes_of_scalar(value: Any, path: Path) -> Iterator[tuple[str, Any]]:
    if isinstance(value, bool):
        yield "negated", not value
    elif isinstance(value, int):
        yield from (("off by one", value + 1), ("off by one", value - 1))
    elif isinstance(value, str):
        words = list(re.finditer(r"\S+", value))
        if len(words) <= 1 or len(words) > LONGEST_TEXT:
            yield from _changes_of_word(value, path)
            return
        for number, word in enumerate(words):
            before, after = value[: word.start()], value[word.end() :]
            yield "dropped", before + after
            for operation, new in _changes_of_word(word[0], (*path, str(number))):
                yield operation, before + new + after


def _changes_of_word(word: str, path: Path) -> Iterator[tuple[str, str]]:
    yield "misspelled", misspelled(word, path)
    if found := list(NUMBER.finditer(word)):
        last = found[-1]
        yield "off by one", f"{word[: last.start()]}{int(last[0]) + 1}{word[last.end() :]}"


def misspelled(word: str, path: Path) -> str:
    """Exchange two neighboring characters, or drop one; the place is a hash of the path."""
    if len(word) < 2:
        return word + "x"
    place = zlib.crc32(repr(path).encode()) % (len(word) - 1)
    one, two = word[place : place + 2]
    if one == two or place % 2:
        return word[:place] + word[place + 1 :]
    return word[:place] + two + one + word[place + 2 :]
