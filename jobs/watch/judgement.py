"""What the results of a study that were read so far say: rates, claims, and its planned cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.cells import CellStore
from physrl.evaluation.claims import Claim, judge_claims
from physrl.evaluation.estimate import Estimate
from physrl.evaluation.families import FamilyCell
from physrl.evaluation.generalization import Generalization
from physrl.evaluation.matrix import DoneCells, Matrix
from physrl.evaluation.probe_results import ProbeResult
from physrl.evaluation.scores import CellScores
from physrl.evaluation.specs import StudyPlan
from physrl.evaluation.study_results import StudyResults


@dataclass(frozen=True, eq=False)
class Judgement:
    """A study's estimates and claims from some of its cells."""

    cells: int
    """Number of cells that it is made of."""
    generalization: Generalization
    claims: tuple[Claim, ...]
    _rates: dict[FamilyCell, Estimate | None] = field(default_factory=dict)

    def rate(self, cell: FamilyCell) -> Estimate | None:
        """Estimate a family's success rate; None without results."""
        if cell not in self._rates:
            self._rates[cell] = self.generalization.success_rate(*cell)
        return self._rates[cell]


def judge_study(
    plan: StudyPlan,
    matrix: Matrix,
    store: CellStore,
    scores: Mapping[str, CellScores],
    adaptations: Mapping[str, AdaptationCurve],
    probes: Mapping[str, ProbeResult],
) -> Judgement:
    """Judge all claims by the library's own rules, as the study's report does at the end."""
    results = StudyResults(
        plan=plan,
        matrix=matrix,
        cells=DoneCells(matrix, store),
        trained={},
        adaptations=dict(adaptations),
        probes=dict(probes),
        failures={},
        human=None,
        scored=dict(scores),
    )
    return Judgement(len(scores), results.generalization, judge_claims(results))
