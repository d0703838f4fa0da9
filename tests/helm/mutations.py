"""Wrong edits of the chart and its values: how many of them do the checks catch?

python -m tests.helm.mutations      (`make helm-test`) prints a line a mutation that is missed, then
{"values_files", "mutations", "caught"}
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.helm.chart import CHART, RELEASE, Values, read_values, values_files
from tests.helm.check import violations
from tests.helm.schemas import find_crds


@dataclass(frozen=True, slots=True)
class Edit:
    """A text in one of the chart's files and what takes its place, wherever it stands."""

    what: str
    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """Wrong values, or a wrong name of the release, with the chart as it is."""

    what: str
    values: Values = field(default_factory=dict)
    release: str = RELEASE


def read_mutations() -> tuple[list[Edit], list[Mistake]]:
    """All of mutations.yaml."""
    content = yaml.safe_load((Path(__file__).parent / "mutations.yaml").read_text(encoding="utf-8"))
    return [Edit(**one) for one in content["edits"]], [
        Mistake(**one) for one in content["mistakes"]
    ]


@contextmanager
def edited(edit: Edit) -> Iterator[Path]:
    """A copy of the chart with the edit in it.

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
    """Whether any of the values files brings the edit to light."""
    with edited(edit) as chart:
        # The one with every option first: most edits show there.
        return any(
            violations(read_values(p), chart) for p in reversed(list(values_files().values()))
        )


def main() -> None:
    """Try every mutation."""
    if find_crds() is None:
        sys.exit("error: KubeRay's CRDs are missing: put them into ../shared/kuberay-crds")
    files, (edits, mistakes) = values_files(), read_mutations()
    wrong = {
        name: found for name, path in files.items() if (found := violations(read_values(path)))
    }
    missed = [edit.what for edit in edits if not catches(edit)]
    missed += [one.what for one in mistakes if not violations(one.values, release=one.release)]
    for name, found in wrong.items():
        print(f"{name}: {found[0]}")
    for what in missed:
        print(f"missed: {what}")
    mutations = len(edits) + len(mistakes)
    figures = {"values_files": len(files), "mutations": mutations}
    print(json.dumps(figures | {"caught": mutations - len(missed)}))
    sys.exit(bool(wrong or missed))


if __name__ == "__main__":
    main()
