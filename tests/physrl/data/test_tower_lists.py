from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from physrl.data.photos import load_photos
from physrl.data.tower_lists import read_list
from physrl.errors import DataError
from physrl.storage.contents import input_contents
from tests.support.runs import make_config

STANDING = "env_ccs-easy-h=3-vcom=0-vpsf=0-v=2"
FALLING = ("env_ccs-hard-h=6-vcom=5-vpsf=0-v=120", "env_ccs-easy-h=2-vcom=0-vpsf=1-v=10")


def write_image(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 6, 3), value, np.uint8)).save(path)


def write_list(root: Path, *lines: str, split: str = "default") -> Path:
    folder = root / "splits" / split
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "test.txt").write_text("\n".join(lines) + "\n")
    return folder / "test.txt"


@pytest.fixture
def fairblocks(tmp_path: Path) -> Path:
    """All photographs of Lerer et al., in the layout in which they are published."""
    root = tmp_path / "fairblocks"
    for number in (1, 2, 3):
        write_image(root / "recordings" / f"img_frame1_{number}.png", number)
    (root / "meta").mkdir()
    write_list(root, "img_frame1_1.png 0", "img_frame1_3.png 1", "img_frame1_2.png 1.0")
    return root


@pytest.fixture
def shapestacks(tmp_path: Path) -> Path:
    root = tmp_path / "shapestacks"
    for value, scenario in enumerate((STANDING, *FALLING)):
        folder = root / "recordings" / scenario
        for view in range(1, 5):
            name = f"rgb-w=0-f=1-l=0-c=original-cam_{view}-mono-0.png"
            write_image(folder / name, 10 * value + view)
            write_image(folder / name.replace("rgb", "vseg"), 200)
    write_list(root, STANDING, *FALLING)
    write_list(root, FALLING[0], split="ccs_all")
    return root


def test_all_photographs_are_read_in_the_order_of_their_list(fairblocks: Path) -> None:
    photos = load_photos(fairblocks)
    assert [(photo.file, photo.falls) for photo in photos] == [
        ("img_frame1_1.png", False), ("img_frame1_3.png", True), ("img_frame1_2.png", True),
    ]  # fmt: skip
    assert [int(photo.image[0, 0, 0]) for photo in photos] == [1, 3, 2]
    assert all(photo.human_falls_fraction is None for photo in photos)


def test_a_scenario_falls_if_its_name_says_so_and_shows_one_view(shapestacks: Path) -> None:
    photos = load_photos(shapestacks)
    assert [photo.file for photo in photos] == [STANDING, *FALLING]
    assert [photo.falls for photo in photos] == [False, True, True]
    views = [int(photo.image[0, 0, 0]) for photo in photos]
    assert [value // 10 for value in views] == [0, 1, 2]  # never a map of segments
    assert [int(photo.image[0, 0, 0]) for photo in load_photos(shapestacks)] == views


def test_a_list_can_be_named(shapestacks: Path) -> None:
    chosen = load_photos(shapestacks / "splits" / "ccs_all" / "test.txt")
    assert [photo.file for photo in chosen] == [FALLING[0]]


def test_a_runs_record_hashes_the_lists_alone(shapestacks: Path) -> None:
    config = make_config(evaluation={"real_images": str(shapestacks)})
    before = input_contents(config)["evaluation.real_images"]
    write_image(shapestacks / "recordings" / "more.png", 1)
    assert input_contents(config)["evaluation.real_images"] == before
    write_list(shapestacks, STANDING)
    assert input_contents(config)["evaluation.real_images"] != before


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (["img_frame1_9.png 1"], "img_frame1_9.png cannot be read"),
        (["img_frame1_1.png 2"], "line 1: '2' is no label"),
        (["img_frame1_1.png"], "line 1: 'img_frame1_1.png' is neither"),
        (["", "../../secret.png 1"], "line 2: '../../secret.png' is no name"),
        ([".. 1"], "is no name"),
        ([STANDING], "unpack the RGB images"),
        (["env_ccs-easy-h=3-vcom=x-vpsf=0-v=2"], "is neither"),
        (["img_frame1_1.png 1", "img_frame1_1.png 0"], "twice"),
        ([], "names no tower"),
    ],
)
def test_wrong_lines_are_refused(lines: list[str], named: str, fairblocks: Path) -> None:
    write_list(fairblocks, *lines)
    with pytest.raises(DataError, match=named):
        load_photos(fairblocks)


def test_missing_parts_are_named(shapestacks: Path, tmp_path: Path) -> None:
    (shapestacks / "splits" / "default" / "test.txt").unlink()
    with pytest.raises(DataError, match=r"default/test\.txt is missing.*ccs_all"):
        load_photos(shapestacks)
    view = next((shapestacks / "recordings" / FALLING[0]).glob("rgb-*"))
    for each in view.parent.glob("rgb-*"):
        each.unlink()
    with pytest.raises(DataError, match="has no image rgb-"):
        load_photos(shapestacks / "splits" / "ccs_all" / "test.txt")
    write_list(tmp_path / "lists", STANDING)
    with pytest.raises(DataError, match="has no folder recordings"):
        load_photos(tmp_path / "lists")
    (tmp_path / "loose.txt").write_text(STANDING)
    with pytest.raises(DataError, match="keep it as ROOT/splits/NAME/loose"):
        load_photos(tmp_path / "loose.txt")


def test_names_of_views_spread_over_the_cameras(shapestacks: Path) -> None:
    names = [f"env_ccs-easy-h=3-vcom=1-vpsf=0-v={number}" for number in range(40)]
    for name in names:
        for view in range(1, 5):
            write_image(shapestacks / "recordings" / name / f"rgb-cam_{view}-mono-0.png", view)
    write_list(shapestacks, *names)
    chosen = [tower.path.name for tower in read_list(shapestacks)]
    assert min(chosen.count(name) for name in set(chosen)) >= 3
    assert len(set(chosen)) == 4
