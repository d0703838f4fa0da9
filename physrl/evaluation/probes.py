"""What can be read off a model's activations with a line."""

from dataclasses import dataclass
from typing import Literal

from physrl.config.study import Target

Source = Literal["model", "pixels", "untrained", "shuffled"]
"""The model's activations; as controls the picture itself, a network of the same shape with random
weights, and the model's activations against shuffled targets."""


@dataclass(frozen=True, slots=True)
class ProbeScore:
    """How well one line reads one target, cross-validated."""

    target: Target
    source: Source
    layer: str
    """`vision.0` ..., `merger`, `language.0` ...; `pixels` of the picture itself."""
    depth: int
    """The layer's place from the picture to the answer; 0 is the first."""
    scores: tuple[float, ...]
    """One a fold: the coefficient of determination, or for `stability` the balanced accuracy."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """All probes of one model about one task's scenes."""

    key: str
    scores: tuple[ProbeScore, ...]
