"""Which files of a run's folder are its own, besides checkpoints."""

import os
from collections.abc import Iterator
from pathlib import Path

from physrl.storage.stored_checkpoints import FOLDER as CHECKPOINTS

CONFIG = "config.yaml"


def run_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Metrics, event files, rollouts, evaluation and report, by their keys in storage.

    Hidden files are left out, and so are runs inside the run, which are kept for themselves.
    """
    for place, folders, names in os.walk(folder):
        inside = Path(place)
        if inside != folder and CONFIG in names:
            folders.clear()
            continue
        if inside == folder and CHECKPOINTS in folders:
            folders.remove(CHECKPOINTS)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = inside / name
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path.relative_to(folder).as_posix(), path
