"""Checks of the working directory that a submission sends to a Ray cluster."""

import logging
import os
from collections import Counter
from pathlib import Path

from physrl.errors import UserError, boundary

LARGEST_BYTES = 512 << 20
"""Largest packed working directory that Ray's head accepts; Ray does not compress it."""


def check_folder(folder: Path) -> None:
    """Refuse a working directory that is too large for Ray.

    Raises:
        UserError: names its size and its largest entry.
    """
    if not folder.is_dir():
        raise UserError(f"--folder is {folder}: no such folder; name the project's")
    sizes = Counter[str]()
    for path in sent_files(folder):
        sizes[path.parts[0]] += (folder / path).stat().st_size
    if sizes.total() > LARGEST_BYTES:
        name, size = sizes.most_common(1)[0]
        raise UserError(
            f"working directory {folder} is {_mib(sizes.total())}, more than Ray's limit of "
            f"{_mib(LARGEST_BYTES)}; {name} is {_mib(size)}: list it in .gitignore or "
            ".rayignore of this folder, or submit from another"
        )


def check_config(folder: Path, config: str) -> None:
    """Refuse a configuration file that is not sent with the working directory.

    Raises:
        UserError: names the file.
    """
    if Path(os.path.normpath(config)) not in sent_files(folder):
        raise UserError(
            f"--config is '{config}', which is not sent with working directory {folder}: give the "
            "relative path of a file in that folder that its .gitignore and .rayignore do not "
            "exclude (Ray does not send a tracked file that they name), such as "
            "jobs/configs/demo.yaml"
        )


def sent_files(folder: Path) -> list[Path]:
    """List the files that Ray packs, by Ray's own packer, which does not read ignore files as git.

    Raises:
        UserError: a file cannot be read.
    """
    # Private, but the packer has no other list of its files than the archive that it writes.
    from ray._private.ray_constants import (
        RAY_RUNTIME_ENV_IGNORE_GITIGNORE,
        get_runtime_env_default_excludes,
    )
    from ray._private.runtime_env.packaging import _dir_travel, _get_excludes

    found: list[Path] = []

    def note(path: Path) -> None:
        if path.is_file():
            found.append(path.relative_to(root))

    root, quiet = folder.absolute(), logging.getLogger(f"{__name__}.packer")
    quiet.disabled = True
    with boundary(UserError, f"working directory {folder} cannot be packed", "mend the file"):
        excludes = [_get_excludes(root, get_runtime_env_default_excludes())]
        reads_gitignore = os.environ.get(RAY_RUNTIME_ENV_IGNORE_GITIGNORE, "0") != "1"
        _dir_travel(root, excludes, note, reads_gitignore, quiet)
    return found


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
