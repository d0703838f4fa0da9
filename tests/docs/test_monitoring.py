"""The completeness of the table of metrics."""

import re

from tests.support.paths import ROOT

SOURCES = ("physrl/algorithms", "physrl/storage/mirror.py", "cluster")
METRIC = re.compile(r'f?"([a-z_]+(?:/[a-z_]*(?:\{\w+\}[a-z_]*)?)+)"(?=:|\]| in| =)')
NAMED = re.compile(r"`([a-z_]+(?:/[a-z_<>]+)+)`")


def pattern(name: str) -> str:
    """Turn a name with placeholders, of the page or the sources, into a pattern."""
    return re.sub(r"<\w+>|\{\w+\}", "[a-z_<>]+", name)


def test_every_metric_is_explained() -> None:
    named = set(NAMED.findall((ROOT / "docs" / "monitoring.md").read_text()))
    used = {
        name
        for source in SOURCES
        for file in sorted((ROOT / source).rglob("*.py")) or [ROOT / source]
        for name in METRIC.findall(file.read_text())
    }
    assert len(used) > 30
    unexplained = {
        name
        for name in used
        if not any(
            re.fullmatch(pattern(each), name) or re.fullmatch(pattern(name), each) for each in named
        )
    }
    assert unexplained == set()
