"""Answers of a subject under a condition: results of a study's cells and of evaluations."""

from dataclasses import dataclass

from physrl.config.study import Decoding
from physrl.evaluation.specs import Condition
from physrl.evaluation.statistics import Count

PHOTOGRAPHS = "real"
"""The name of the photographs in tables, beside those of the tasks."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One completion, scored. Offsets are in block widths, x right and y up."""

    scene_id: str
    """The scene's id, or the photograph's file name."""
    completion: str
    answer: str
    """The answer in short; empty if the completion could not be parsed."""
    ideal: str
    success: bool
    status: str
    """`settled`, `illegal` or `unparseable`, as in an outcome."""
    reward: float
    offset: tuple[float, float] | None
    ideal_offset: tuple[float, float] | None
    predicted_falls: bool | None
    """The verdict of the answer."""
    falls: bool | None


@dataclass(frozen=True, slots=True)
class CellResult:
    """All answers of one subject under one condition.

    A success is a tower that stands as the question asks, or a right verdict.
    """

    condition: Condition
    answers: tuple[Answer, ...]

    @property
    def task(self) -> str:
        """The row in tables: the task, or the photographs."""
        photographs = self.condition.test_set == "real"
        return PHOTOGRAPHS if photographs else self.condition.task

    @property
    def decoding(self) -> Decoding:
        return self.condition.decoding

    @property
    def count(self) -> Count:
        """Successes of all answers."""
        return Count(sum(answer.success for answer in self.answers), len(self.answers))

    @property
    def unparseable(self) -> int:
        """Number of completions that hold no single valid answer."""
        return sum(answer.status == "unparseable" for answer in self.answers)


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """All evaluations of one policy of a run."""

    policy: str
    results: tuple[CellResult, ...]

    def find(self, task: str, decoding: Decoding) -> CellResult | None:
        """Return the result of a task, or of the photographs; None if it was not evaluated."""
        for result in self.results:
            if (result.task, result.decoding) == (task, decoding):
                return result
        return None
