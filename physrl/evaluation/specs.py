"""Specifications of a study: its subjects, the conditions they answer under, the measurements."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from physrl.config.auxiliary import OutcomeConfig
from physrl.config.baseline import BaselineConfig
from physrl.config.environment import EnvironmentConfig, TestSet
from physrl.config.reward import RewardConfig
from physrl.config.run import RunConfig
from physrl.config.study import Decoding, ExampleKind, ImageMode, Target
from physrl.config.task import AnyTaskName, TaskName
from physrl.evaluation.trials import TrialSpec

SubjectKind = Literal["trained", "base", "baseline", "physics", "guesser", "rule", "people"]
"""A trial's model, a model before training, a policy without language, a control (the exact
criterion, a guesser, or a rule without physics), or people, whose answers are imported."""
CONTROLS: tuple[SubjectKind, ...] = ("physics", "guesser", "rule")
"""Kinds of subjects that are no model."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A model or control whose answers are measured."""

    kind: SubjectKind
    key: str
    name: str
    """Name of the trial, the model or the control."""
    trained_on: tuple[AnyTaskName, ...] = ()
    method: str = ""
    model: str = ""
    """Name of the model in the grid."""
    seed: int = 0
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """A task and an evaluation protocol: the column of a cell, the same for every subject."""

    task: AnyTaskName
    test_set: TestSet = "iid"
    shots: int = 0
    """Number of examples before the question."""
    decoding: Decoding = "greedy"
    images: ImageMode = "shown"
    examples: ExampleKind = "solved"
    """What examples show: solved scenes, or the form of answers alone."""

    @property
    def has_form(self) -> bool:
        """True if greedy answers have the task's form, whatever the model was trained on."""
        return self.decoding == "constrained" or (
            self.decoding == "greedy" and self.examples == "form"
        )

    @property
    def protocol(self) -> str:
        """A description of everything but the task, such as `tall, greedy, 2 examples`."""
        words: list[str] = [self.test_set, self.decoding]
        kind = "examples of form" if self.examples == "form" else "examples"
        words += [f"{self.shots} {kind}"] if self.shots else []
        words += ["blank images"] if self.images == "blank" else []
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class CellSettings:
    """Everything besides its condition that a cell's scenes and answers depend on."""

    scenes: int
    """Number of scenes from the start of the test stream, or of photographs."""
    seed: int
    """Seed of the scenes."""
    environment: EnvironmentConfig
    """Scene settings of the study; `GENERATORS[test_set]` turns them into those of a test set."""
    reward: RewardConfig
    reasoning: bool
    temperature: float
    """Temperature of sampled answers."""
    min_p: float
    """Smallest probability of a token of sampled answers, as a share of the likeliest one's."""
    max_completion_tokens: int
    photos: str | None = None
    """Digest of the photographs if the test set is `real`."""
    auxiliary: OutcomeConfig | None = None
    """Outcome prediction that the subject was trained on."""
    data: str | None = None
    """Digest of the collected dataset that the scenes are from, or of the user's own questions;
    None if scenes are drawn."""


@dataclass(frozen=True, slots=True)
class CellSpec:
    """A measurement: one subject under one condition."""

    key: str
    subject: Subject
    condition: Condition
    settings: CellSettings


@dataclass(frozen=True, slots=True)
class AdaptationSpec:
    """An adaptation: a few steps of SFT that start from a subject, on one task."""

    key: str
    subject: Subject
    task: TaskName
    steps: tuple[int, ...]
    """Step counts at which the model is measured; 0 is before the first step."""
    scenes: int
    config: RunConfig
    """Configuration of the run; the subject's weights replace those of its model. Its seed is that
    of the held-out scenes, the same for all."""
    seed: int
    """Seed of the demonstrations."""


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """Linear probes of a subject's activations on the scenes of one task."""

    key: str
    subject: Subject
    task: TaskName
    targets: tuple[Target, ...]
    scenes: int
    folds: int
    seed: int
    environment: EnvironmentConfig
    reasoning: bool
    interventions: int = 0
    """Number of scenes, in pairs, on which states are exchanged and steered."""


@dataclass(frozen=True)
class StudyPlan:
    """All trials and measurements of a study, in a fixed order."""

    name: str
    trials: tuple[TrialSpec, ...]
    bases: dict[str, RunConfig]
    """Configurations that trials start from, by the base subject's key."""
    baselines: dict[str, BaselineConfig]
    """Runs of policies without language, by the subject's key."""
    subjects: tuple[Subject, ...]
    cells: tuple[CellSpec, ...]
    adaptations: tuple[AdaptationSpec, ...]
    probes: tuple[ProbeSpec, ...]
    selection: tuple[TrialSpec, ...] = ()
    """Runs that learning rates are chosen by; no subjects."""
    form: tuple[TrialSpec, ...] = ()
    """Runs of the form warm-up that all models begin from; no subjects."""

    @property
    def keys(self) -> frozenset[str]:
        """The keys of all results."""
        keys = [trial.key for trial in (*self.form, *self.selection, *self.trials)]
        keys += [cell.key for cell in self.cells]
        keys += [spec.key for spec in self.adaptations] + [spec.key for spec in self.probes]
        return frozenset(keys) | frozenset(self.baselines)

    def config_of(self, subject: Subject) -> RunConfig:
        """Find the configuration of a trained subject, or the one that a base's trials start from.

        Raises:
            KeyError: the subject is not a model.
        """
        return self._configs[subject.key]

    @cached_property
    def _configs(self) -> dict[str, RunConfig]:
        return {trial.key: trial.config for trial in self.trials} | self.bases
