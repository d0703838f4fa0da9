"""An estimate: a value with its 95 % confidence interval."""

from dataclasses import dataclass
from typing import Literal

Variation = Literal["seeds and scenes", "scenes"]
"""Variation that an interval holds: other scenes alone, or other training seeds too."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its confidence interval."""

    value: float
    low: float
    high: float
    over: Variation = "seeds and scenes"

    def __str__(self) -> str:
        return f"{self.value:+.2f} ({self.low:+.2f} to {self.high:+.2f})"
