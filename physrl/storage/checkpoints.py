"""Checkpoints in a local folder.

A checkpoint is written into a hidden folder, its manifest last, and then renamed, so that it exists
whole or not at all even if its writer is killed.
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

from pydantic_core import from_json

from physrl.errors import CheckpointError
from physrl.storage.manifest import STATE, sync_folder, verify, write_manifest
from physrl.storage.object_store import PARTIAL
from physrl.storage.retention import best_first, kept_steps, score_of
from physrl.types import JSON

FOLDER = "checkpoints"
"""Folder of a run's checkpoints, inside the run's folder."""
FULL_BELOW = 2**20
"""Free bytes below which a disk counts as full."""
_STEP = re.compile(r"step-(\d{8,})")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint: its folder, its step and the content of state.json."""

    path: Path
    step: int
    state: JSON


class Checkpoints:
    """The checkpoints of one run, of which the last and the best are kept.

    Args:
        folder: the run's folder.
        keep_last: number of newest checkpoints to keep, at least one.
        keep_best: number of checkpoints to keep by the `score` in their state.
    """

    def __init__(self, folder: Path, keep_last: int, keep_best: int = 0) -> None:
        if keep_last < 1:
            raise ValueError(f"keep_last is {keep_last}: keep at least one checkpoint")
        self._folder = folder / FOLDER
        self._keep_last, self._keep_best = keep_last, keep_best

    def commit(self, step: int, state: JSON, write: Callable[[Path], None]) -> Checkpoint:
        """Write the checkpoint of a step; it exists once this returns, and not before.

        Removes the checkpoints of later steps, which a resumed run repeats.

        Args:
            state: content of state.json, without `step`. Its `score` ranks the policy; higher is
                better.
            write: writes the weights and the learner's state into the folder that it is given.

        Raises:
            CheckpointError: the disk is full or not writable, another process is writing, or
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
                    with _name_full_disk(partial):
                        write(partial)
                    if not any(partial.iterdir()):
                        raise CheckpointError(
                            f"{final} is empty: the machines that write the weights do not share "
                            "this folder; set output= to a shared one"
                        )
                    (partial / STATE).write_text(json.dumps({**state, "step": step}))
                    write_manifest(partial)
                    self._replace(final, partial)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
                self._prune(step)
        except OSError as error:
            raise CheckpointError(_write_error(final, error)) from error
        return Checkpoint(final, step, state)

    def latest(self) -> Checkpoint | None:
        """Find the newest complete checkpoint; None if there is none.

        Logs a warning that names the file for each damaged or incomplete one that it skips.
        """
        return self._first_complete([step for step, _ in reversed(self._steps())])

    def best(self) -> Checkpoint | None:
        """Find the complete checkpoint with the highest score; None if none has a score."""
        return self._first_complete(best_first(self._scores()))

    def _first_complete(self, steps: Sequence[int]) -> Checkpoint | None:
        for step in steps:
            path = self._folder / step_name(step)
            try:
                verify(path)
            except CheckpointError as error:
                _logger.warning("%s; trying the previous checkpoint", error)
            else:
                return Checkpoint(path, step, read_state(path))
        return None

    def _scores(self) -> dict[int, float | None]:
        return {step: score_of(read_state(path)) for step, path in self._steps()}

    def _steps(self) -> list[tuple[int, Path]]:
        """List the step folders, complete or not, oldest first."""
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
        kept = kept_steps(self._scores(), self._keep_last, self._keep_best)
        for step, path in self._steps():
            if step not in kept:
                shutil.rmtree(path)

    def _remove_partial(self) -> None:
        for path in self._folder.glob(f"{PARTIAL}*"):
            shutil.rmtree(path)


def step_name(step: int) -> str:
    """Return the name of a checkpoint's folder."""
    return f"step-{step:08d}"


def step_of(name: str) -> int | None:
    """Return the step of a checkpoint's folder; None if the name is not a checkpoint's."""
    match = _STEP.fullmatch(name)
    return int(match[1]) if match else None


def read_state(path: Path) -> JSON:
    """Read a checkpoint's state.json; empty if it cannot be read."""
    try:
        state = from_json((path / STATE).read_bytes(), allow_inf_nan=False)
    except (OSError, ValueError):
        return {}
    return dict(state) if isinstance(state, dict) else {}


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system releases when its holder dies.

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
def _name_full_disk(folder: Path) -> Iterator[None]:
    """Raise ENOSPC if the disk is full: torch, safetensors and Ray hide the system's error."""
    try:
        yield
    except Exception as error:
        hidden = getattr(error, "errno", None) is None
        if hidden and shutil.disk_usage(folder).free < FULL_BELOW:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


def _write_error(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "free some space, lower checkpoint.keep_last, or set output= to another disk"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = "grant write permission, or set output= to a folder that you own"
    else:
        remedy = "check the storage, or set output= to another folder"
    # An error from another process has no strerror, and the last line of its text is the cause.
    reason = error.strerror or str(error).splitlines()[-1]
    return f"checkpoint {path} cannot be written: {reason}: {remedy}"
