"""Reporters that show nothing."""

from physrl.types import Metrics


class SilentReporter:
    """A `Reporter` that remembers the steps that it was shown."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def phase(self, name: str) -> None:
        """Show nothing."""

    def step(self, step: int, metrics: Metrics) -> None:
        self.steps.append(step)
