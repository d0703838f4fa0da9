"""Images of towers that others published, in folders with lists of what belongs to a split.

ROOT/
    splits/default/test.txt    a line an image, `img_frame1_1.png 1` (1: it fell), or a line a
                               scenario, `env_ccs-easy-h=3-vcom=1-vpsf=0-v=2`
    recordings/                the images, or a folder of views for each scenario

The first form is that of all photographs of Lerer et al. (2016) as the authors of ShapeStacks
publish them (fairblocks), the second that of ShapeStacks (Groth et al. 2018). Scenarios say in
their names what makes them fall: a violation of the center of mass (vcom) or of planar surfaces
(vpsf).
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from physrl.errors import DataError, reason_of

LISTS, RECORDINGS = "splits", "recordings"
DEFAULT = Path(LISTS) / "default" / "test.txt"
"""List of the split that a folder stands for."""
LIST_SUFFIX = ".txt"
SCENARIO = re.compile(r"env_[\w.=-]*?-?vcom=(\d+)-vpsf=(\d+)(?:-v=\d+)?")
VIEW_START, VIEW_END = "rgb-", "-mono-0.png"
"""Names of a scenario's views; depth and segmentation maps have other ones."""
FALLS = {"0": False, "0.0": False, "1": True, "1.0": True}


@dataclass(frozen=True, slots=True)
class ListedTower:
    """A tower of a list: its name, the image of it, and whether it falls."""

    name: str
    path: Path
    falls: bool


def holds_lists(path: Path) -> bool:
    """Return whether a path is such a folder, or a list in one."""
    if path.is_dir():
        return (path / LISTS).exists() or (path / RECORDINGS).exists()
    return path.suffix == LIST_SUFFIX


def read_list(path: Path) -> tuple[ListedTower, ...]:
    """Read the towers of a list, or of a folder's default one, in order.

    Of a scenario's views, which are no independent towers, one is taken, chosen by its name.

    Raises:
        DataError: a part of the folder is missing, or a line is of neither form.
    """
    listed = (path / DEFAULT if path.is_dir() else path).absolute()
    root = listed.parent.parent.parent
    if listed.parent.parent.name != LISTS:
        raise DataError(
            f"{listed} is not in a folder of {LISTS}/: keep it as ROOT/{LISTS}/NAME/"
            f"{listed.name}, beside ROOT/{RECORDINGS}"
        )
    if not (root / RECORDINGS).is_dir():
        raise DataError(f"{root} has no folder {RECORDINGS}: unpack the images there")
    names = _lines(listed)
    towers = tuple(_tower(listed, root, number, line) for number, line in names)
    seen: set[str] = set()
    for tower in towers:
        if tower.name in seen:
            raise DataError(f"{listed} names {tower.name} twice: remove one line")
        seen.add(tower.name)
    return towers


def _lines(listed: Path) -> list[tuple[int, str]]:
    try:
        text = listed.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        there = sorted(each.parent.name for each in listed.parents[1].glob("*/*.txt"))
        known = f"; there is {', '.join(dict.fromkeys(there))}" if there else ""
        raise DataError(f"{listed} is missing: unpack the lists, or name one{known}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{listed} cannot be read: {reason_of(error)}: unpack it again") from None
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    filled = [(number, line) for number, line in lines if line]
    if not filled:
        raise DataError(f"{listed} names no tower: unpack it again")
    return filled


def _tower(listed: Path, root: Path, number: int, line: str) -> ListedTower:
    where = f"{listed} line {number}"
    name, _, label = line.partition(" ")
    if Path(name).name != name or name in (".", "..") or "\0" in name:
        raise DataError(f"{where}: '{name[:60]}' is no name of a file: unpack the list again")
    if label:
        if label.strip() not in FALLS:
            raise DataError(f"{where}: '{label[:40]}' is no label: use 1 (it fell) or 0")
        return ListedTower(name, root / RECORDINGS / name, FALLS[label.strip()])
    scenario = SCENARIO.fullmatch(name)
    if scenario is None:
        raise DataError(
            f"{where}: '{name[:60]}' is neither a scenario (env_...-vcom=N-vpsf=N-v=N) nor an "
            "image with a label: unpack the list again"
        )
    falls = any(int(violation) for violation in scenario.groups())
    return ListedTower(name, _view(where, root / RECORDINGS / name), falls)


def _view(where: str, folder: Path) -> Path:
    if not folder.is_dir():
        raise DataError(f"{where}: {folder} is missing: unpack the RGB images")
    views = sorted(
        each.name
        for each in folder.iterdir()
        if each.name.startswith(VIEW_START) and each.name.endswith(VIEW_END)
    )
    if not views:
        raise DataError(
            f"{where}: {folder} has no image {VIEW_START}*{VIEW_END}: unpack the RGB images"
        )
    chosen = int.from_bytes(hashlib.sha256(folder.name.encode()).digest()[:4]) % len(views)
    return folder / views[chosen]
