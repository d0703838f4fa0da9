"""The interface of metrics sinks."""

from dataclasses import dataclass
from typing import Protocol

from physrl.types import Metrics


@dataclass(frozen=True, slots=True)
class Row:
    """The metrics of one step."""

    step: int
    """Step, counted from 1."""
    time: float
    """Time of the step's end, in seconds since 1970."""
    metrics: Metrics


class MetricsSink(Protocol):
    """A destination of metrics."""

    name: str
    """Name in warnings."""

    def write(self, row: Row) -> None:
        """Accept a row; after an error it is retried before the next one."""
        ...

    def close(self) -> None:
        """Finish after the last row."""
        ...
