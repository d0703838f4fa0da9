"""Log of the rollouts of each training step, which survives a full disk."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from physrl.data.rollouts import write_rollouts
from physrl.errors import DataError
from physrl.types import RolloutGroup

MAX_PENDING = 8
"""Steps kept in memory, images included, while the disk is full."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Step:
    groups: Sequence[RolloutGroup]
    advantages: Sequence[float]


class RolloutLog:
    """Writer of `rollouts/step-<step>.parquet`; failed writes are retried at the next step.

    Args:
        folder: folder of the run.
        max_pending: maximum number of unwritten steps in memory.
    """

    def __init__(self, folder: Path, max_pending: int = MAX_PENDING) -> None:
        self._folder = folder / "rollouts"
        self._max_pending = max_pending
        self._pending: dict[int, _Step] = {}

    def write(self, step: int, groups: Sequence[RolloutGroup], advantages: Sequence[float]) -> None:
        """Write a step, after pending ones; writing a step again replaces it.

        Raises:
            ValueError: the numbers of advantages and rollouts differ.
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
                "%s (training continues: up to %d steps of rollouts stay in memory)",
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
                write_rollouts(path, step.groups, step.advantages, number)
            except DataError as error:
                return error
            del self._pending[number]
        return None
