"""Snapshots of checkpoints that await their upload."""

import logging
import os
import shutil
from itertools import count
from pathlib import Path

from physrl.storage.checkpoints import Checkpoint

SNAPSHOTS = ".uploading"
"""Folder of a run's snapshots, inside the run's folder."""
_logger = logging.getLogger(__name__)


class Snapshots:
    """Hard links of checkpoints' files, which outlive the deletion of the checkpoints.

    Args:
        run: the run's folder.
    """

    def __init__(self, run: Path) -> None:
        self._folder, self._numbers = run / SNAPSHOTS, count()
        self.clear()

    def take(self, checkpoint: Checkpoint) -> Checkpoint:
        """Link a checkpoint's files, and return it at the links, or unchanged if linking fails."""
        path = checkpoint.path
        snapshot = self._folder / str(next(self._numbers)) / path.name
        try:
            shutil.copytree(path, snapshot, copy_function=_link)
        except OSError as error:  # such as a full disk: the upload may still be in time
            _logger.warning("%s cannot be kept for its upload: %s", path, error)
            return checkpoint
        return Checkpoint(snapshot, checkpoint.step, checkpoint.state)

    def drop(self, checkpoint: Checkpoint) -> None:
        """Delete a checkpoint's snapshot, if it has one."""
        if checkpoint.path.is_relative_to(self._folder):
            shutil.rmtree(checkpoint.path.parent, ignore_errors=True)

    def clear(self) -> None:
        """Delete all snapshots."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _link(source: str, target: str) -> None:
    """Make a hard link, or a copy on file systems without them."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
