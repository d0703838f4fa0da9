"""Hand-written wrong edits of the chart and its values (mutations.yaml)."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.helm.chart import CHART, RELEASE, Values, read_values, values_files
from tests.helm.check import violations


@dataclass(frozen=True, slots=True)
class Edit:
    """A replacement of a text in one of the chart's files, at each of its places."""

    what: str
    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """Wrong values, or a wrong release name, with the chart unchanged."""

    what: str
    values: Values = field(default_factory=dict)
    release: str = RELEASE


def read_mutations() -> tuple[list[Edit], list[Mistake]]:
    """Read mutations.yaml."""
    content = yaml.safe_load((Path(__file__).parent / "mutations.yaml").read_text(encoding="utf-8"))
    return [Edit(**one) for one in content["edits"]], [
        Mistake(**one) for one in content["mistakes"]
    ]


@contextmanager
def edited(edit: Edit) -> Iterator[Path]:
    """Yield a copy of the chart with the edit.

    Raises:
        ValueError: the chart holds no such text.
    """
    text = (CHART / edit.file).read_text(encoding="utf-8")
    if edit.old not in text:
        raise ValueError(f"{edit.what}: {edit.file} holds no '{edit.old}'")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / CHART.name
        shutil.copytree(CHART, copy)
        (copy / edit.file).write_text(text.replace(edit.old, edit.new), encoding="utf-8")
        yield copy


def catches(edit: Edit) -> bool:
    """Whether the checks find the edit with any of the values files."""
    with edited(edit) as chart:
        # The file with every option first: most edits show there.
        return any(
            violations(read_values(p), chart) for p in reversed(list(values_files().values()))
        )
