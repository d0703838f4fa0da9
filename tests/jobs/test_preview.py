from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs import preview
from physrl.config import RunConfig, load_config
from physrl.errors import UserError
from physrl.report import landscape
from physrl.tasks import TASKS


@pytest.mark.parametrize("task", TASKS)
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


def test_sheet_lists_every_question_that_is_asked() -> None:
    seen, held_out = (
        preview.draw(TASKS["place"], load_config(None, [f"environment.wording={which}"]), 0, 9)
        for which in ("seen", "held_out")
    )
    assert held_out.size[1] == seen.size[1] + 2 * preview.LINE


def test_landscape_and_video_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landscape, "SPACING", {1: 0.2})
    films = {}
    for name, answer in (("ideal", None), ("aside", "0")):
        out = films[name] = tmp_path / f"{name}.gif"
        preview.run_video("place_x", RunConfig(), seed=0, index=2, answer=answer, out=out)
    for name in ("land.png", "land.bmp"):
        preview.run_landscape("place_x", RunConfig(), seed=0, index=2, out=tmp_path / name)
        with Image.open(tmp_path / name) as drawn:
            assert np.asarray(drawn).std() > 10
    assert films["ideal"].read_bytes() != films["aside"].read_bytes()


def test_unwritable_files_are_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draws(*_: object) -> None:
        raise AssertionError("drawn before it is known that the file can be written")

    monkeypatch.setattr(preview, "make_scene", draws)
    nowhere = tmp_path / "no"
    expected = r"cannot be written .*; name a file in a folder"
    with pytest.raises(UserError, match=expected):
        preview.run("place", RunConfig(), seed=0, count=1, out=nowhere / "sheet.png")
    with pytest.raises(UserError, match=expected):
        preview.run_landscape("place_x", RunConfig(), seed=0, index=0, out=nowhere / "land.png")
    with pytest.raises(UserError, match=expected):
        preview.run_video(
            "place", RunConfig(), seed=0, index=0, answer=None, out=nowhere / "film.mp4"
        )
    (tmp_path / "dir.png").mkdir()
    with pytest.raises(UserError, match=expected):
        preview.run("place", RunConfig(), seed=0, count=1, out=tmp_path / "dir.png")


def test_named_sets_are_drawn(tmp_path: Path) -> None:
    pictures = []
    for generator in ("iid", "tall"):
        out = tmp_path / f"{generator}.png"
        preview.run("stability", RunConfig(), seed=0, count=1, out=out, generator=generator)
        pictures.append(out.read_bytes())
    assert pictures[0] != pictures[1]
    with pytest.raises(UserError, match="there is no generator 'short': choose iid or tall or"):
        preview.run("place", RunConfig(), seed=0, count=1, out=out, generator="short")
