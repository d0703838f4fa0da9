from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs import preview
from physrl.config import RunConfig
from physrl.errors import UserError


@pytest.mark.parametrize("task", ["place", "stability"])
def test_sheet_has_a_cell_a_scene(task: str, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    preview.run(task, RunConfig(), seed=0, count=4, out=out)
    with Image.open(out) as sheet:
        pixels = np.asarray(sheet)
    height, width, _ = pixels.shape
    assert width == 3 * preview.CELL_WIDTH + preview.GAP
    assert height > 2 * preview.CELL_HEIGHT
    last_row = pixels[height // 2 + preview.LINE + preview.GAP :]
    assert last_row[:, : width // 3].std() > 10
    assert last_row[:, width // 3 + preview.GAP :].std() == 0


def test_unwritable_sheet_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be written .*; name a file in a folder"):
        preview.run("place", RunConfig(), seed=0, count=1, out=tmp_path / "no" / "sheet.png")
