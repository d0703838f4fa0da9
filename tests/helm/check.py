"""Every check of the chart with some values."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from helm_python import HelmError

from tests.helm.chart import CHART, RELEASE, Document, Values, documents, lint, merged, render
from tests.helm.pods import pods
from tests.helm.policies import POLICIES
from tests.helm.rules import RULES
from tests.helm.schemas import schema_violations

UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, StopIteration)


def violations(values: Values, chart: Path = CHART, release: str = RELEASE) -> list[str]:
    """Render the chart and return what lint, schemas, rules and policies find."""
    try:
        found = lint(values, chart)
        objects = documents(render(values, chart, release))
    except (HelmError, yaml.YAMLError) as error:
        return [str(error)]
    return found or list(object_violations(objects, merged(values)))


def object_violations(
    objects: list[Document], values: Values, changed: Sequence[Document] | None = None
) -> Iterator[str]:
    """Yield what schemas, rules and policies find in rendered objects.

    Rules and policies read what the schemas promise, so they come last, and only where all schemas
    hold.

    Args:
        values: all of them, the defaults included.
        changed: the objects to compare with schemas; all where it is None.
    """
    found = False
    checked = objects if changed is None else list(changed)
    for text in _against_schemas(checked):
        found = True
        yield text
    if found:
        return
    for rule in RULES:
        yield from _read(rule.__name__, rule(objects, values))
    for policy in POLICIES:
        yield from _read(policy.__name__, policy(objects))


def _against_schemas(objects: Sequence[Document]) -> Iterator[str]:
    """Yield what schemas find in objects and, where those hold, in the pods that they start."""
    found = [text for document in objects for text in schema_violations(document)]
    yield from found
    if not found:
        inner = (text for pod in pods(list(objects)) for text in schema_violations(pod.document))
        yield from _read("schemas of pods", inner)


def _read(name: str, found: Iterator[str]) -> Iterator[str]:
    """Yield what a rule finds; objects that it cannot read are wrong too."""
    try:
        yield from found
    except UNREADABLE as error:
        yield f"{name}: cannot read the objects: {error!r}"
