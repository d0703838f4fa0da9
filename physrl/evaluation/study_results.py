"""All results of a study that its store holds, read once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from physrl.config.run import RunConfig
from physrl.data.photos import HumanAccuracy, Photo, human_accuracy
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.cells import CellStore, Failure, Trained
from physrl.evaluation.comparisons import Comparison, compare_methods
from physrl.evaluation.families import Family, FamilyCell, family_of, is_main
from physrl.evaluation.generalization import Generalization
from physrl.evaluation.matrix import DoneCells, Matrix, make_matrix
from physrl.evaluation.people import PeopleGroup
from physrl.evaluation.probe_results import ProbeResult
from physrl.evaluation.results import CellResult
from physrl.evaluation.scores import Scored
from physrl.evaluation.specs import AdaptationSpec, Condition, ProbeSpec, StudyPlan
from physrl.evaluation.trials import TrialSpec

Result = TypeVar("Result")


@dataclass(frozen=True)
class StudyResults:
    """A study's plan and the results that exist so far."""

    plan: StudyPlan
    matrix: Matrix
    cells: Mapping[str, CellResult]
    """Completed cells by key; the mappings below are by key as well."""
    trained: dict[str, Trained]
    adaptations: dict[str, AdaptationCurve]
    probes: dict[str, ProbeResult]
    failures: dict[str, Failure]
    human: HumanAccuracy | None
    """Accuracy of people on the photographs, by the fractions that came with these."""
    people: tuple[PeopleGroup, ...] = ()
    """Groups of people whose answers were imported."""
    scored: Mapping[str, Scored] | None = None
    """Scores of completed cells, where they have been read without the answers' text."""

    @cached_property
    def generalization(self) -> Generalization:
        """Estimates over all families and conditions."""
        return Generalization(self.matrix, self.cells if self.scored is None else self.scored)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Comparisons of every two methods."""
        return compare_methods(self.generalization)

    @cached_property
    def configs(self) -> dict[Family, RunConfig]:
        """The configuration of a trial of each trained family."""
        runs = {trial.key: trial.config for trial in self.plan.trials}
        trained = [subject for subject in self.plan.subjects if subject.kind == "trained"]
        return {family_of(subject): runs[subject.key] for subject in trained}

    @cached_property
    def diagonal(self) -> list[FamilyCell]:
        """Single-task families of the default variant, each on the task that it was trained on."""
        return self.generalization.select(
            lambda family, condition: (
                is_main(family) and condition == Condition(family.trained_on[0])
            )
        )

    @cached_property
    def off_diagonal(self) -> list[FamilyCell]:
        """The families of the diagonal, each on every other task."""
        return self.generalization.select(
            lambda family, condition: (
                is_main(family)
                and condition == Condition(condition.task)
                and condition.task != family.trained_on[0]
            )
        )

    @cached_property
    def main_families(self) -> list[Family]:
        """The bases and the families of the diagonal."""
        bases = [family for family in self.generalization.families if family.kind == "base"]
        return bases + [family for family, _ in self.diagonal]


def read_study_results(
    plan: StudyPlan, store: CellStore, photos: Sequence[Photo] = ()
) -> StudyResults:
    """Read all results of a plan that its store holds.

    Raises:
        DataError: an object is damaged.
    """
    matrix = make_matrix(plan, store)
    done, planned = store.done(), plan.keys

    def read_all(
        specs: Iterable[TrialSpec | AdaptationSpec | ProbeSpec],
        read: Callable[[str], Result | None],
    ) -> dict[str, Result]:
        keys = [spec.key for spec in specs if spec.key in done]
        return {key: result for key in keys if (result := read(key)) is not None}

    return StudyResults(
        plan=plan,
        matrix=matrix,
        cells=DoneCells(matrix, store),
        trained=read_all(plan.trials, store.read_trained),
        adaptations=read_all(plan.adaptations, store.read_adaptation),
        probes=read_all(plan.probes, store.read_probe),
        failures={key: each for key, each in store.failures().items() if key in planned},
        human=human_accuracy(photos),
        people=store.read_people(plan.name),
    )
