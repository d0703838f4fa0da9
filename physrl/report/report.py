"""What a report shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from physrl.data.photos import HumanAccuracy
from physrl.evaluation.results import PolicyResult
from physrl.types import Image, Metrics


@dataclass(frozen=True, slots=True)
class GalleryItem:
    """One answer with the picture before it and, if it was simulated, the picture after it."""

    policy: str
    question: str
    answer: str
    """The whole completion."""
    before: Image
    after: Image | None
    note: str
    """What happened, or why nothing was simulated."""
    reward: float
    success: bool


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that a report is made of.

    Policies appear in the given order; the first is the one that the others are compared with.
    """

    title: str
    subtitle: str
    policies: tuple[PolicyResult, ...]
    curves: Mapping[str, Sequence[Metrics]] = field(default_factory=dict)
    """A training run's name, which may be a policy's, to its metrics, each row with `step`."""
    gallery: tuple[GalleryItem, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    """Durations, machine, versions: name to value."""
    human: HumanAccuracy | None = None
    """How well people judged the photographs of the task `real`."""
