"""Warnings of the health checks, as training logs them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from physrl.algorithms.health import HealthCheck
from physrl.types import Metrics


@dataclass(slots=True)
class _Checked:
    """A run whose first rows have been checked."""

    check: HealthCheck = field(default_factory=HealthCheck)
    rows: int = 0
    last: Metrics | None = None
    """The last row that was checked."""
    warnings: list[tuple[int, str]] = field(default_factory=list)


class Warnings:
    """Checks the metrics of runs; of a run that has grown, only the new rows."""

    def __init__(self) -> None:
        self._checked: dict[str, _Checked] = {}

    def __call__(self, run: str, history: Sequence[Metrics]) -> list[tuple[int, str]]:
        """Return the warnings about a run's rows so far, each with its step.

        Args:
            run: location of the run.
        """
        known = self._checked.get(run)
        if known is None or known.last != next(iter(history[known.rows - 1 : known.rows]), None):
            known = self._checked[run] = _Checked()
        for row in history[known.rows :]:
            known.warnings += [(int(row["step"]), text) for text in known.check(row)]
            known.rows, known.last = known.rows + 1, row
        return known.warnings
