"""What a study consists of: who answers, under which conditions, and what is measured on each."""

from dataclasses import dataclass
from typing import Literal

from physrl.config.auxiliary import OutcomeConfig
from physrl.config.baseline import BaselineConfig
from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import RewardConfig
from physrl.config.run import RunConfig
from physrl.config.study import Decoding, ImageMode, Target, TestSet
from physrl.config.task import TaskName
from physrl.evaluation.trials import TrialSpec

SubjectKind = Literal["trained", "base", "baseline", "physics", "guesser"]


@dataclass(frozen=True, slots=True)
class Subject:
    """Who answers."""

    kind: SubjectKind
    """A trial's model, a model before training, a policy without language, or a control that looks
    at no picture."""
    key: str
    name: str
    """A trial's name, a model's, or the control's."""
    trained_on: tuple[TaskName, ...] = ()
    method: str = ""
    model: str = ""
    """Its name in the grid."""
    seed: int = 0
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """What is asked, and how: where a cell stands in the tables, for every subject alike."""

    task: TaskName
    test_set: TestSet = "iid"
    shots: int = 0
    """Solved examples before the question."""
    decoding: Decoding = "greedy"
    images: ImageMode = "shown"

    @property
    def asking(self) -> str:
        """All but the task, in words."""
        words: list[str] = [self.test_set, self.decoding]
        words += [f"{self.shots} examples"] if self.shots else []
        words += ["blank pictures"] if self.images == "blank" else []
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a cell's scenes and answers depend on beside its condition."""

    scenes: int
    """The first of the test stream, or how many photographs there are."""
    seed: int
    """Of the scenes."""
    environment: EnvironmentConfig
    """The study's, of which `GENERATORS[test_set]` makes the set's."""
    reward: RewardConfig
    reasoning: bool
    temperature: float
    """Of sampled answers."""
    max_completion_tokens: int
    photos: str | None = None
    """A digest of the photographs, for the test set `real`."""
    auxiliary: OutcomeConfig | None = None
    """Prediction objective that the subject was trained with."""


@dataclass(frozen=True, slots=True)
class CellSpec:
    """One subject under one condition."""

    key: str
    subject: Subject
    condition: Condition
    asked: Asked


@dataclass(frozen=True, slots=True)
class AdaptationSpec:
    """One subject, a few steps of SFT on one task."""

    key: str
    subject: Subject
    task: TaskName
    steps: tuple[int, ...]
    """After how many it is measured; 0 is before the first."""
    scenes: int
    config: RunConfig
    """The run; its model is where the subject began, to be replaced by the subject's own."""


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """One subject's activations about one task's scenes."""

    key: str
    subject: Subject
    task: TaskName
    targets: tuple[Target, ...]
    scenes: int
    folds: int
    seed: int
    environment: EnvironmentConfig
    reasoning: bool


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """Everything that a study consists of, in a fixed order."""

    name: str
    trials: tuple[TrialSpec, ...]
    bases: dict[str, RunConfig]
    """The runs' beginnings by the base subject's key."""
    baselines: dict[str, BaselineConfig]
    """The runs of policies without language by the subject's key."""
    subjects: tuple[Subject, ...]
    cells: tuple[CellSpec, ...]
    adaptations: tuple[AdaptationSpec, ...]
    probes: tuple[ProbeSpec, ...]

    @property
    def keys(self) -> frozenset[str]:
        """Of all results."""
        keys = [trial.key for trial in self.trials] + [cell.key for cell in self.cells]
        keys += [spec.key for spec in self.adaptations] + [spec.key for spec in self.probes]
        return frozenset(keys) | frozenset(self.baselines)

    def config_of(self, subject: Subject) -> RunConfig:
        """The run of a trained subject, or what a base's runs begin with.

        Raises:
            KeyError: the subject is no model.
        """
        return ({trial.key: trial.config for trial in self.trials} | self.bases)[subject.key]
