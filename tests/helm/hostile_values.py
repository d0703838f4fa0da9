"""Hostile values at every key: each is refused, or arrives as the text that it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from helm_python import HelmError

from tests.helm.chart import Values, documents, lint, merged, render
from tests.helm.check import object_violations

TEXTS = (
    "x: {hostNetwork: true}",
    "x\nhostPID: true",
    '"\n- y',
    "x' y",
    "{{ .Values }}",
    "x #y",
    "*",
    "&a",
    "!!binary aGk=",
    "-",
    "yes",
    "0x10",
    "1e3",
    "~",
    " x",
    "x ",
    "é\u202e",
    "x\ty",
    "$(reboot)",
    "`id`; $HOME & x",
    "x" * 300,
    "",
)
OTHERS: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1.5, 10**12, [], ["x"], [[]], {}, {"x": "y"}, {"x": None}),
)


PASSED_ON = (("configs",), ("pod", "volumes"), ("pod", "env"))
"""Tables that are passed on as they are: jobs refuse a wrong configuration before they start, and
the API server refuses a wrong volume or variable."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """Values with another value at one key."""

    path: tuple[str | int, ...]
    old: Any
    new: Any
    values: Values


def hostile_values(values: Values) -> Iterator[Hostile]:
    """Yield the values with each hostile value at each key."""
    complete = merged(values)
    for path, old in _paths(complete, ()):
        if any(path[: len(free)] == free for free in PASSED_ON):
            continue
        for new in (*TEXTS, *OTHERS):
            if new != old or type(new) is not type(old):
                yield Hostile(path, old, new, _with(complete, path, new))
        yield Hostile(
            (*path, "unknown-key"), None, "x", _with(complete, path, {"unknown-key": "x"})
        )


def _paths(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    entries: Any = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for key, one in entries:
        yield (*path, key), one
        yield from _paths(one, (*path, key))


def _with(tree: Any, path: tuple[str | int, ...], new: Any) -> Any:
    if not path:
        return new
    first, *rest = path
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[first] = _with(tree[first], tuple(rest), new)  # type: ignore[index]
    return copy


def fault(case: Hostile) -> str | None:
    """Return what is wrong with the answer to a hostile value; None if it is right.

    Right answers are a refusal by Helm or the schema of values, or manifests that pass every check
    of the chart with these values.
    """
    try:
        if lint(case.values):
            return None
        objects = documents(render(case.values))
    except HelmError:
        return None
    found = object_violations(objects, merged(case.values))
    # A place that nothing else of the values names is as open as any other.
    peer = case.path[:2] == ("networkPolicy", "egress")
    return next((text for text in found if not (peer and text.endswith(": closed"))), None)
