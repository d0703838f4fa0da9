"""All that a study's store holds of its plan, read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from physrl.config.run import RunConfig
from physrl.data.photos import HumanAccuracy, Photo, human_accuracy
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.cells import CellResult, CellStore, Failure, Trained
from physrl.evaluation.generalization import Family, Generalization, Place, family_of
from physrl.evaluation.matrix import Matrix, make_matrix, read_done
from physrl.evaluation.probes import ProbeResult
from physrl.evaluation.specs import Condition, StudyPlan
from physrl.evaluation.trials import PLAIN, SHUFFLED


@dataclass(frozen=True)
class Findings:
    """A study's plan, and what has come of it so far."""

    plan: StudyPlan
    matrix: Matrix
    cells: Mapping[str, CellResult]
    """By key, as are the following."""
    trained: dict[str, Trained]
    adaptations: dict[str, AdaptationCurve]
    probes: dict[str, ProbeResult]
    failures: dict[str, Failure]
    human: HumanAccuracy | None
    """How well people judged the photographs."""

    @cached_property
    def generalization(self) -> Generalization:
        return Generalization(self.matrix, self.cells)

    @cached_property
    def configs(self) -> dict[Family, RunConfig]:
        """A run of each trained family."""
        runs = {trial.key: trial.config for trial in self.plan.trials}
        trained = [subject for subject in self.plan.subjects if subject.kind == "trained"]
        return {family_of(subject): runs[subject.key] for subject in trained}

    @property
    def diagonal(self) -> list[Place]:
        """Families trained on one task, unchanged by a variant, on that task."""
        return self.generalization.places(
            lambda family, asked: _is_main(family) and asked == Condition(family.trained_on[0])
        )

    @property
    def off_diagonal(self) -> list[Place]:
        """The same families on every other task."""
        return self.generalization.places(
            lambda family, asked: (
                _is_main(family)
                and asked == Condition(asked.task)
                and asked.task != family.trained_on[0]
            )
        )


def read_findings(plan: StudyPlan, store: CellStore, photos: Sequence[Photo] = ()) -> Findings:
    """Everything that is there of a plan.

    Raises:
        DataError: an object is damaged.
    """
    matrix = make_matrix(plan, store)
    done = store.done()
    ours = {trial.key for trial in plan.trials} | {cell.key for cell in plan.cells}
    ours |= {spec.key for spec in plan.adaptations} | {spec.key for spec in plan.probes}
    trained = {t.key: store.read_trained(t.key) for t in plan.trials if t.key in done}
    curves = {a.key: store.read_adaptation(a.key) for a in plan.adaptations if a.key in done}
    probes = {p.key: store.read_probe(p.key) for p in plan.probes if p.key in done}
    return Findings(
        plan=plan,
        matrix=matrix,
        cells=read_done(matrix, store),
        trained={key: record for key, record in trained.items() if record is not None},
        adaptations={key: curve for key, curve in curves.items() if curve is not None},
        probes={key: result for key, result in probes.items() if result is not None},
        failures={key: failure for key, failure in store.failures().items() if key in ours},
        human=human_accuracy(photos),
    )


def _is_main(family: Family) -> bool:
    return (
        family.kind == "trained"
        and family.variant == PLAIN
        and family.method != SHUFFLED
        and len(family.trained_on) == 1
    )
