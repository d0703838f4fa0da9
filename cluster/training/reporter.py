"""The interface of progress displays."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from physrl.types import Metrics


class Reporter(Protocol):
    """A display of the progress of a phase."""

    def phase(self, name: str) -> None:
        """Show the activity: `generating`, `updating`, ..."""
        ...

    def step(self, step: int, metrics: Metrics) -> None:
        """Show a completed step; steps count from 1."""
        ...


Progress = Callable[[str, int], AbstractContextManager[Reporter]]
"""Opens the reporter of a phase, from its name and number of steps."""
