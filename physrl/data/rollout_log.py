"""Log of the rollouts of each training step, which survives a full disk."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from physrl.errors import DataError
from physrl.groups import Group

MAX_PENDING = 8
"""Steps whose groups, images included, are kept while the disk is full."""
Advantages = NDArray[np.float64]
"""One for each rollout: groups x group_size."""
WriteStep = Callable[[Path, Sequence[Group], Advantages, int], None]
"""Writes a step's groups and their advantages as a file."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Step:
    groups: Sequence[Group]
    advantages: Advantages


class RolloutLog:
    """Log of `rollouts/step-<step>.parquet`; failed writes are retried at the next step.

    Args:
        folder: folder of the run.
        write_step: writes one step.
        max_pending: maximum number of unwritten steps.
    """

    def __init__(self, folder: Path, write_step: WriteStep, max_pending: int = MAX_PENDING) -> None:
        self._folder, self._write_step = folder / "rollouts", write_step
        self._max_pending = max_pending
        self._pending: dict[int, _Step] = {}

    def write(self, step: int, groups: Sequence[Group], advantages: Advantages) -> None:
        """Write a step, after pending ones; writing a step again replaces it.

        Raises:
            DataError: nothing can be written, and more than `max_pending` steps are pending.
        """
        self._pending.pop(step, None)
        self._pending[step] = _Step(groups, advantages)
        error = self._flush()
        if error is None:
            return
        if len(self._pending) > self._max_pending:
            raise error
        if len(self._pending) == 1:
            _logger.warning(
                "%s (training continues: up to %d steps of rollouts wait)",
                error,
                self._max_pending,
            )

    def close(self) -> None:
        """Write all pending steps.

        Raises:
            DataError: a step still cannot be written.
        """
        if (error := self._flush()) is not None:
            raise error

    def _flush(self) -> DataError | None:
        """Write pending steps in order until one fails; return its error."""
        for number, step in list(self._pending.items()):
            path = self._folder / f"step-{number:08d}.parquet"
            try:
                self._write_step(path, step.groups, step.advantages, number)
            except DataError as error:
                return error
            del self._pending[number]
        return None
