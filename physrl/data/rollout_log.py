"""The rollouts of a run's steps, kept through a full disk."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from physrl.data.rollouts import write_rollouts
from physrl.errors import DataError
from physrl.types import RolloutGroup

MOST_KEPT = 8
"""Steps that wait in memory, pictures and all, for a disk that is full."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Step:
    groups: Sequence[RolloutGroup]
    advantages: Sequence[float]


class RolloutLog:
    """Writes `rollouts/step-<step>.parquet`; what cannot be written is tried again a step later.

    Args:
        folder: the run's folder.
        most_kept: steps that may wait in memory at once.
    """

    def __init__(self, folder: Path, most_kept: int = MOST_KEPT) -> None:
        self._folder = folder / "rollouts"
        self._most_kept = most_kept
        self._waiting: dict[int, _Step] = {}

    def write(self, step: int, groups: Sequence[RolloutGroup], advantages: Sequence[float]) -> None:
        """Write a step, after those that wait; a step that is done again replaces itself.

        Raises:
            ValueError: there are more or fewer advantages than rollouts.
            DataError: nothing can be written, and more steps wait than may.
        """
        self._waiting.pop(step, None)
        self._waiting[step] = _Step(groups, advantages)
        error = self._flush()
        if error is None:
            return
        if len(self._waiting) > self._most_kept:
            raise error
        if len(self._waiting) == 1:
            _logger.warning(
                "%s (training goes on: the rollouts of up to %d steps wait in memory)",
                error,
                self._most_kept,
            )

    def close(self) -> None:
        """Write what waits.

        Raises:
            DataError: it still cannot be written.
        """
        if (error := self._flush()) is not None:
            raise error

    def _flush(self) -> DataError | None:
        """Write in order until something cannot be; why not."""
        for number, step in list(self._waiting.items()):
            path = self._folder / f"step-{number:08d}.parquet"
            try:
                write_rollouts(path, step.groups, step.advantages, number)
            except DataError as error:
                return error
            del self._waiting[number]
        return None
