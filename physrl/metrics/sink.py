"""What takes a run's metrics, step by step."""

from dataclasses import dataclass
from typing import Protocol

from physrl.types import Metrics


@dataclass(frozen=True, slots=True)
class Row:
    """A step's metrics."""

    step: int
    """Counts from 1."""
    time: float
    """When it ended, in seconds since 1970."""
    metrics: Metrics


class MetricsSink(Protocol):
    """One place that metrics go to."""

    name: str
    """What a warning calls it."""

    def write(self, row: Row) -> None:
        """Take a row, or raise and have it offered again before the next one."""
        ...

    def close(self) -> None:
        """Nothing follows."""
        ...
