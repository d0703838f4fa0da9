"""The notebook runs, and what it shows is what its cells print."""

from pathlib import Path

import pytest

from tests.examples.notebook import QUICKSTART, execute, read
from tests.support.paths import ROOT


def test_every_cell_was_executed_in_order() -> None:
    cells = [cell for cell in read(QUICKSTART)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    assert all(cell["outputs"] or cell is cells[-1] for cell in cells)


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    notebook = read(QUICKSTART)
    names = execute(notebook, tmp_path)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] for cell in cells)
    assert len(names["groups"]) == 10
    assert names["row"]["prompt"] == names["prompt"].text
