"""Contents of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    """The image that the model saw."""
    after: Image | None
    note: str
    """Description of the outcome, or the reason why nothing was simulated."""
    reward: float
    success: bool


@dataclass(frozen=True, slots=True)
class ReportSection:
    """Answers to one question about the same scenes, in which policies may be compared.

    Policies are shown in the given order; the others are compared with the first one.
    """

    title: str
    policies: tuple[PolicyResult, ...]
    note: str = ""
    """How the question differs from that of the first section, if it does."""
    is_redrawn: bool = True
    """False if the scene generator has changed since, so that the images cannot be drawn again."""
    gallery: tuple[GalleryItem, ...] = ()
    human: HumanAccuracy | None = None
    """Accuracy of people on the photographs, if that is what was asked about."""


@dataclass(frozen=True, slots=True)
class ReportData:
    """All contents of a report."""

    title: str
    subtitle: str
    sections: tuple[ReportSection, ...]
    curves: Mapping[str, Sequence[Metrics]] = field(default_factory=dict)
    """Metrics of training runs by name, each row with `step`; a name may be a policy's."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings that are not defaults, by run and dotted key."""
    differences: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Settings in which the runs differ: a value for each run, in the order of `settings`."""
    hints: Sequence[str] = ()
    """Sentences about runs that nothing compares, with the commands that would."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Durations, machine and versions by name."""
