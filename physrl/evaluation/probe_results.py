"""Results of linear probes, which are read without what computes them."""

from dataclasses import dataclass
from typing import Literal

from physrl.config.study import Target

Source = Literal["model", "pixels", "untrained", "shuffled"]
"""Features of a probe: the model's activations or, as controls, the image's pixels, activations of
a randomly initialized network of the same shape, and the model's activations against the targets of
other pairs of scenes."""


@dataclass(frozen=True, slots=True)
class ProbeScore:
    """The cross-validated score of one target at one layer."""

    target: Target
    source: Source
    layer: str
    """Name of the layer: `vision.0` ..., `merger`, `language.0` ...; `pixels` for the image."""
    depth: int
    """Position of the layer on the way from image to answer, from 0."""
    scores: tuple[float, ...]
    """Score of each fold: R², or the balanced accuracy for `stability`."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """All probe scores of one model on one task's scenes."""

    key: str
    scores: tuple[ProbeScore, ...]
