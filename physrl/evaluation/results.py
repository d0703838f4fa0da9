"""What a policy answered on held-out scenes and photographs, and the file that keeps it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, TypeAdapter, ValidationError

from physrl.config.task import TASKS
from physrl.errors import DataError
from physrl.evaluation.statistics import Count


def _known(task: str) -> str:
    return task if task == "real" else TASKS.require(task)


EvaluationTask = Annotated[str, AfterValidator(_known)]
"""Name of a task; or `real`, photographs of real towers."""
Decoding = Literal["greedy", "sampled"]


@dataclass(frozen=True, slots=True)
class Answered:
    """One completion and what came of it. Offsets are in block widths, x right and y up."""

    scene_id: str
    """The scene's id, or the photograph's file name."""
    completion: str
    answer: str
    """What was answered, in short; empty if the completion could not be parsed."""
    ideal: str
    success: bool
    status: str
    """`settled`, `illegal` or `unparseable`, as in an outcome."""
    reward: float
    offset: tuple[float, float] | None
    ideal_offset: tuple[float, float] | None
    said_falls: bool | None
    falls: bool | None


@dataclass(frozen=True, slots=True)
class TaskResult:
    """All answers to one task under one way of decoding.

    A success is a tower that stands as it was asked for, or a right verdict.
    """

    task: EvaluationTask
    decoding: Decoding
    answers: tuple[Answered, ...]

    @property
    def count(self) -> Count:
        """Successes of all answers."""
        return Count(sum(answer.success for answer in self.answers), len(self.answers))

    @property
    def unparseable(self) -> int:
        """How many completions held no single valid answer."""
        return sum(answer.status == "unparseable" for answer in self.answers)


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """Everything that one policy was measured on."""

    policy: str
    results: tuple[TaskResult, ...]

    def find(self, task: EvaluationTask, decoding: Decoding) -> TaskResult | None:
        """The result of a task under a decoding; None if it was not measured."""
        for result in self.results:
            if (result.task, result.decoding) == (task, decoding):
                return result
        return None

    def save(self, path: Path) -> None:
        """Write the result as JSON, making the folder if need be."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_ADAPTER.dump_json(self, indent=1))


_ADAPTER = TypeAdapter(PolicyResult)


def load_policy_result(path: Path) -> PolicyResult:
    """A result that `save` wrote.

    Raises:
        DataError: the file is missing or damaged; names the first wrong value.
    """
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"result {path} cannot be read: {error.strerror}: evaluate again") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise DataError(
            f"result {path} is damaged: {where}: {first['msg']}: evaluate again"
        ) from None
