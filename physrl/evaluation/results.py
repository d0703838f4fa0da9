"""Results of a study's cells and of a run's evaluations: scored answers under a condition."""

from dataclasses import dataclass

import numpy as np

from physrl.config.study import Decoding
from physrl.evaluation.scores import STAGES, CellScores
from physrl.evaluation.specs import Condition
from physrl.evaluation.statistics import Count, Difference, paired_difference

PHOTOGRAPHS = "real"
"""Name of the photographs in tables, next to the names of tasks."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A scored completion. Offsets are in block widths, x to the right and y up."""

    scene_id: str
    """Id of the scene, or file name of the photograph."""
    completion: str
    answer: str
    """Text of the answer alone; empty if the completion could not be parsed."""
    ideal: str
    """Text of the ideal answer."""
    success: bool
    status: str
    """Status of the outcome: `settled`, `illegal` or `unparseable`."""
    reward: float
    offset: tuple[float, float] | None
    ideal_offset: tuple[float, float] | None
    predicted_falls: bool | None
    """Verdict of the answer."""
    falls: bool | None
    """True verdict."""
    probability: float | None
    """Probability of the whole completion under the sampling policy; None for controls."""
    margin: float | None
    """Exact static margin of the tower, positive if it stands; None for photographs, as below."""
    blocks: int | None
    """Number of the tower's blocks, without a red one beside it."""
    height: float | None
    """Height of the tower's highest upper face, in block widths."""
    side: str | None
    """`left` or `right`: where the red block is, or to where the tower's top leans."""
    generator: str
    """Name of the set of scenes, or `real`."""
    probability_yes: float | None = None
    """Probability of *Yes* in place of the answer, at temperature 1 and without constraints, given
    the tokens that *Yes* and *No* begin with; None without an answer, or for other questions."""
    probability_no: float | None = None
    """The same of *No*; what both lack of 1 is that of anything else."""

    @property
    def belief(self) -> float | None:
        """Probability of *Yes* among both verdicts; None where they were not measured."""
        if self.probability_yes is None or self.probability_no is None:
            return None
        both = self.probability_yes + self.probability_no
        return self.probability_yes / both if both > 0 else None


@dataclass(frozen=True, slots=True)
class CellResult:
    """The answers of a subject under a condition."""

    condition: Condition
    answers: tuple[Answer, ...]

    @property
    def task(self) -> str:
        """Row in tables: the task, or the photographs."""
        photographs = self.condition.test_set == "real"
        return PHOTOGRAPHS if photographs else self.condition.task

    @property
    def decoding(self) -> Decoding:
        return self.condition.decoding

    @property
    def count(self) -> Count:
        """Number of successes among all answers."""
        return Count(sum(answer.success for answer in self.answers), len(self.answers))

    @property
    def scores(self) -> CellScores:
        """The outcomes of the answers without their text."""
        return CellScores(
            np.array([answer.success for answer in self.answers], np.int8),
            np.array([STAGES[answer.status] for answer in self.answers], np.int8),
            np.array([answer.falls for answer in self.answers], np.float64),
        )

    @property
    def unparseable(self) -> int:
        """Number of completions without a single valid answer."""
        return sum(answer.status == "unparseable" for answer in self.answers)


def compare(before: CellResult, after: CellResult) -> Difference | None:
    """Compute the difference of success on the scenes that both results have; None without any."""
    first, second = (
        {answer.scene_id: answer.success for answer in each.answers} for each in (before, after)
    )
    shared = first.keys() & second.keys()
    if not shared:
        return None
    lost = sum(first[scene] and not second[scene] for scene in shared)
    gained = sum(second[scene] and not first[scene] for scene in shared)
    return paired_difference(lost, gained, len(shared))


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """The results of a policy in one or more cells."""

    policy: str
    results: tuple[CellResult, ...]

    def find(self, task: str, decoding: Decoding) -> CellResult | None:
        """Return the result of a task or of the photographs; None without one."""
        for result in self.results:
            if (result.task, result.decoding) == (task, decoding):
                return result
        return None
