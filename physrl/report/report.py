"""Contents of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from physrl.data.photos import HumanAccuracy
from physrl.evaluation.results import PolicyResult
from physrl.types import Image, Metrics


@dataclass(frozen=True, slots=True)
class GalleryItem:
    """An answer with the image before it and, if it was simulated, the image after it."""

    policy: str
    question: str
    answer: str
    """The whole completion."""
    before: Image
    after: Image | None
    note: str
    """Description of the outcome, or the reason why nothing was simulated."""
    reward: float
    success: bool


@dataclass(frozen=True, slots=True)
class ReportData:
    """All contents of a report.

    Policies are shown in the given order; the others are compared with the first one.
    """

    title: str
    subtitle: str
    policies: tuple[PolicyResult, ...]
    curves: Mapping[str, Sequence[Metrics]] = field(default_factory=dict)
    """Metrics of training runs by name, each row with `step`; a name may be a policy's."""
    gallery: tuple[GalleryItem, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    """Durations, machine and versions by name."""
    human: HumanAccuracy | None = None
    """Accuracy of people on the photographs of the task `real`."""
