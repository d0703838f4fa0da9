"""Checkpoints on a local folder: whole or absent, never in between.

A checkpoint is written into a hidden folder, described by a manifest that comes last, and then
renamed; whatever a writer that died left behind is therefore never taken for a checkpoint.
"""

import errno
import fcntl
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from physrl.errors import CheckpointError
from physrl.storage.manifest import STATE, sync_folder, verify, write_manifest
from physrl.storage.retention import best_first, kept, score_of
from physrl.types import JSON

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
    """The checkpoints of one run: the last ones stay, and the best.

    Args:
        folder: the run's folder; checkpoints lie in its `checkpoints/`.
        keep_last: how many of the newest stay, at least one.
        keep_best: how many stay by the `score` in their state, wherever they lie.
    """

    def __init__(self, folder: Path, keep_last: int, keep_best: int = 0) -> None:
        if keep_last < 1:
            raise ValueError(f"keep_last is {keep_last}: at least one checkpoint must stay")
        self._folder = folder / "checkpoints"
        self._keep_last, self._keep_best = keep_last, keep_best

    def commit(self, step: int, state: JSON, write: Callable[[Path], None]) -> Checkpoint:
        """Make the checkpoint of a step; it exists once this returns, and not at all before.

        Checkpoints of later steps are removed: the run has gone back behind them.

        Args:
            state: what state.json holds; `step` is added to it. The number under `score` says how
                good the policy is; higher is better.
            write: puts the weights and the learner's state into the folder that it is given.

        Raises:
            CheckpointError: the storage is full or forbidden, another process is writing, or
                nothing was written.
        """
        final = self._folder / step_name(step)
        partial = self._folder / f"{PARTIAL}{final.name}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with only_writer(self._folder):
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
                    write_manifest(partial)
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
        return self._first_whole([step for step, _ in reversed(self._steps())])

    def best(self) -> Checkpoint | None:
        """The whole checkpoint of the highest score; None if none has a score."""
        return self._first_whole(best_first(self._scores()))

    def _first_whole(self, steps: Sequence[int]) -> Checkpoint | None:
        for step in steps:
            path = self._folder / step_name(step)
            try:
                verify(path)
            except CheckpointError as error:
                _logger.warning("%s; trying the checkpoint before it", error)
            else:
                return Checkpoint(path, step, read_state(path))
        return None

    def _scores(self) -> dict[int, float | None]:
        return {step: score_of(read_state(path)) for step, path in self._steps()}

    def _steps(self) -> list[tuple[int, Path]]:
        """The step folders, whole or not, oldest first."""
        if not self._folder.is_dir():
            return []
        found = ((step_of(path.name), path) for path in self._folder.iterdir())
        return sorted((step, path) for step, path in found if step is not None)

    def _replace(self, final: Path, partial: Path) -> None:
        if final.exists():
            final.rename(self._folder / f"{PARTIAL}replaced-{final.name}")
        partial.rename(final)
        sync_folder(self._folder)

    def _prune(self, newest: int) -> None:
        self._remove_partial()
        for step, path in self._steps():
            if step > newest:
                shutil.rmtree(path)
        stay = kept(self._scores(), self._keep_last, self._keep_best)
        for step, path in self._steps():
            if step not in stay:
                shutil.rmtree(path)

    def _remove_partial(self) -> None:
        for path in self._folder.glob(f"{PARTIAL}*"):
            shutil.rmtree(path)


def step_name(step: int) -> str:
    """The name of a checkpoint's folder."""
    return f"step-{step:08d}"


def step_of(name: str) -> int | None:
    """The step whose checkpoint has this name; None if it is no checkpoint's."""
    match = _STEP.fullmatch(name)
    return int(match[1]) if match else None


def read_state(path: Path) -> JSON:
    """What a checkpoint's state.json holds; nothing if it cannot be read."""
    try:
        state = json.loads((path / STATE).read_bytes())
    except (OSError, ValueError):
        return {}
    return dict(state) if isinstance(state, dict) else {}


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system frees when its holder dies.

    Raises:
        CheckpointError: another process holds it.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointError(
                f"another process is writing checkpoints to {folder}: stop it, or choose another "
                "folder"
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
