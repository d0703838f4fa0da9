"""Rendering of the chart by Helm's own engine, for every values file that is checked."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

from tests.support.paths import ROOT

CHART = ROOT / "helm" / "physrl"
RELEASE, NAMESPACE = "physrl", "research"
ERROR = 3
"""Severity of errors in lint messages; strict lint makes warnings errors."""

Document = dict[str, Any]
Values = dict[str, Any]


def values_files() -> dict[str, Path | None]:
    """List values files: the defaults, the chart's, and one that turns every option on."""
    files = {path.stem: path for path in sorted(CHART.glob("values-*.yaml"))}
    return {"values": None, **files, "everything": Path(__file__).parent / "everything.yaml"}


def read_values(path: Path | None) -> Values:
    """Read the values of a file; no values for the defaults."""
    return {} if path is None else dict(yaml.safe_load(path.read_text(encoding="utf-8")))


@cache
def default_values() -> Values:
    """Read values.yaml."""
    return read_values(CHART / "values.yaml")


def merged(over: Values, base: Values | None = None) -> Values:
    """Merge values into the defaults, table by table, as Helm does."""
    out = dict(default_values() if base is None else base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(value, out[key]) if both else value
    return out


def lint(values: Values, chart: Path = CHART) -> list[str]:
    """Return errors and warnings of Helm's strict lint."""
    report = helm_python.lint(str(chart), values, strict=True, namespace=NAMESPACE)
    messages = [m["error"] for m in report["messages"] if m["severity"] >= ERROR - 1]
    return [*messages, *report["errors"]]


def render(values: Values, chart: Path = CHART, release: str = RELEASE) -> dict[str, str]:
    """Render the chart and return the text of each template.

    Raises:
        HelmError: the values are refused, or a template fails.
    """
    with helm_python.Chart.load(str(chart)) as loaded:
        return dict(loaded.render(values, name=release, namespace=NAMESPACE))


def documents(rendered: Mapping[str, str]) -> list[Document]:
    """Parse the Kubernetes objects of rendered templates."""
    return [
        document
        for name, text in rendered.items()
        if name.endswith(".yaml")
        for document in yaml.load_all(text, Loader=_Strict)
        if document
    ]


def of_kind(objects: list[Document], *kinds: str) -> Iterator[Document]:
    """Yield the objects of some kinds."""
    return (one for one in objects if one["kind"] in kinds)


class _Strict(yaml.CSafeLoader):
    """A loader that refuses duplicate keys, of which one would win silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.YAMLError(f"keys given twice: {', '.join(sorted(twice))}")
        return super().construct_mapping(node, deep=deep)
