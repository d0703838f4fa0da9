"""Checkpoints on a local folder: whole or absent, never in between.

A checkpoint is written into a hidden folder, described by a manifest that comes last, and then
renamed; whatever a writer that died left behind is therefore never taken for a checkpoint.
"""

import errno
import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from physrl.errors import CheckpointError
from physrl.types import JSON

MANIFEST = "MANIFEST.json"
STATE = "state.json"
PARTIAL = ".partial-"
_STEP = re.compile(r"step-(\d{8,})")
FULL_BELOW = 2**20
"""A disk with fewer free bytes than this is full."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was found whole: its folder, its step and what state.json holds."""

    path: Path
    step: int
    state: JSON


class Checkpoints:
    """The checkpoints of one run, oldest removed first.

    Args:
        folder: the run's folder; checkpoints lie in its `checkpoints/`.
        keep_last: how many checkpoints stay, at least one.
    """

    def __init__(self, folder: Path, keep_last: int) -> None:
        if keep_last < 1:
            raise ValueError(f"keep_last is {keep_last}: at least one checkpoint must stay")
        self._folder = folder / "checkpoints"
        self._keep_last = keep_last

    def commit(self, step: int, state: JSON, write: Callable[[Path], None]) -> Checkpoint:
        """Make the checkpoint of a step; it exists once this returns, and not at all before.

        Checkpoints of later steps are removed: the run has gone back behind them.

        Args:
            state: what state.json holds; `step` is added to it.
            write: puts the weights and the learner's state into the folder that it is given.

        Raises:
            CheckpointError: the storage is full or forbidden, another process is writing, or
                nothing was written.
        """
        final = self._folder / f"step-{step:08d}"
        partial = self._folder / f"{PARTIAL}{final.name}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with _only_writer(self._folder):
                self._remove_partial()
                partial.mkdir()
                try:
                    with _full_disk_named(partial):
                        write(partial)
                    if not any(partial.iterdir()):
                        raise CheckpointError(
                            f"{final} would hold no weights: the folder is not shared with the "
                            "machines that write them; set output= to one that is"
                        )
                    (partial / STATE).write_text(json.dumps({**state, "step": step}))
                    _write_manifest(partial)
                    self._replace(final, partial)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
                self._prune(step)
        except OSError as error:
            raise CheckpointError(_cannot_write(final, error)) from error
        return Checkpoint(final, step, state)

    def latest(self) -> Checkpoint | None:
        """The newest whole checkpoint; None if there is none.

        Damaged and incomplete ones are passed over with a warning that names the file.
        """
        for step, path in reversed(self._steps()):
            try:
                verify(path)
            except CheckpointError as error:
                _logger.warning("%s; trying the checkpoint before it", error)
            else:
                return Checkpoint(path, step, json.loads((path / STATE).read_bytes()))
        return None

    def _steps(self) -> list[tuple[int, Path]]:
        """The step folders, whole or not, oldest first."""
        if not self._folder.is_dir():
            return []
        matches = ((_STEP.fullmatch(path.name), path) for path in self._folder.iterdir())
        return sorted((int(match[1]), path) for match, path in matches if match)

    def _replace(self, final: Path, partial: Path) -> None:
        if final.exists():
            final.rename(self._folder / f"{PARTIAL}replaced-{final.name}")
        partial.rename(final)
        _sync_folder(self._folder)

    def _prune(self, newest: int) -> None:
        self._remove_partial()
        for step, path in self._steps():
            if step > newest:
                shutil.rmtree(path)
        for _, path in self._steps()[: -self._keep_last]:
            shutil.rmtree(path)

    def _remove_partial(self) -> None:
        for path in self._folder.glob(f"{PARTIAL}*"):
            shutil.rmtree(path)


def verify(path: Path) -> None:
    """Check every file of a checkpoint against its manifest.

    Raises:
        CheckpointError: a file is missing, damaged, unreadable or not in the manifest.
    """
    files = _read_manifest(path)
    present = {str(file.relative_to(path)) for file in _files(path)}
    for name in sorted(present | files.keys()):
        if name not in present:
            raise CheckpointError(f"checkpoint {path} is incomplete: {name} is missing")
        if name not in files:
            raise CheckpointError(f"checkpoint {path} is damaged: {name} is not in its manifest")
        try:
            intact = _describe(path / name) == files[name]
        except OSError as error:
            raise CheckpointError(f"checkpoint {path}: {name} cannot be read: {error}") from None
        if not intact:
            raise CheckpointError(
                f"checkpoint {path} is damaged: {name} differs from its manifest; remove the folder"
            )


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system frees when its holder dies."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointError(
                f"another process is writing checkpoints to {folder}: stop it, or use another name="
            ) from None
        yield
    finally:
        os.close(handle)


@contextmanager
def _full_disk_named(folder: Path) -> Iterator[None]:
    """Say so when the disk is full: torch, safetensors and Ray hide the system's error."""
    try:
        yield
    except Exception as error:
        hidden = getattr(error, "errno", None) is None
        if hidden and shutil.disk_usage(folder).free < FULL_BELOW:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


def _files(folder: Path) -> list[Path]:
    """Every file under a checkpoint's folder but its manifest."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if path != folder / MANIFEST)


def _describe(file: Path) -> JSON:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"size": file.stat().st_size, "sha256": digest}


def _write_manifest(folder: Path) -> None:
    files = _files(folder)
    for file in files:
        _sync(file)
    manifest = {str(file.relative_to(folder)): _describe(file) for file in files}
    (folder / MANIFEST).write_text(json.dumps({"files": manifest}, indent=1))
    _sync(folder / MANIFEST)
    _sync_folder(folder)


def _read_manifest(path: Path) -> dict[str, JSON]:
    try:
        files = json.loads((path / MANIFEST).read_bytes())["files"]
    except FileNotFoundError:
        raise CheckpointError(f"checkpoint {path} is incomplete: {MANIFEST} is missing") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(f"checkpoint {path} is damaged: {MANIFEST} cannot be read") from None
    if not isinstance(files, dict) or STATE not in files:
        raise CheckpointError(f"checkpoint {path} is damaged: {MANIFEST} does not list {STATE}")
    return files


def _sync(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot_write(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "free some space, lower checkpoint.keep_last, or set output= to another disk"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = "grant write permission, or set output= to a folder that you own"
    else:
        remedy = "check the storage, or set output= to another folder"
    # An error that crossed processes has lost its number, and its text ends with the cause.
    reason = error.strerror or str(error).splitlines()[-1]
    return f"checkpoint {path} cannot be written: {reason}: {remedy}"
