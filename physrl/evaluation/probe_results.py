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


Measure = Literal["exchange", "flips", "steering"]
"""Effect of an intervention: the share of the twins' gap by which log-odds follow the twin's state;
the share of answers that become the twin's; the share of the gap by which log-odds follow a step
along the probe's direction."""
Role = Literal["effect", "control"]
"""The intervention, or its control: the state of a scene on the same side, random directions."""


@dataclass(frozen=True, slots=True)
class CauseScore:
    """The effect of an intervention on the state after one layer, as a sum for each pair of twins.

    The effect is the sum of `moved` divided by that of `gaps`.
    """

    measure: Measure
    role: Role
    layer: str
    depth: int
    """Position of the layer among those of the language model, from 0."""
    moved: tuple[float, ...]
    gaps: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """All probe scores of one model on one task's scenes."""

    key: str
    scores: tuple[ProbeScore, ...]
    causes: tuple[CauseScore, ...] = ()
    """Effects of interventions, by layer."""
