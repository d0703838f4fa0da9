"""What a measurement asked about which scenes: only answers to equal questions are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic_core import to_jsonable_python

from physrl.config.auxiliary import OutcomeConfig
from physrl.config.differences import flatten, show_value
from physrl.config.environment import EnvironmentConfig, TestSet
from physrl.config.study import ExampleKind, ImageMode
from physrl.evaluation.measurements import Measurement
from physrl.evaluation.results import PolicyResult
from physrl.storage.provenance import SCENE_GENERATOR


@dataclass(frozen=True, slots=True)
class Question:
    """All that decides the scenes, images and texts of a measurement, apart from its task."""

    test_set: TestSet
    shots: int
    examples: ExampleKind
    images: ImageMode
    scenes: int
    seed: int | None
    """Seed of the scenes; None for photographs, as `environment`."""
    environment: EnvironmentConfig | None
    reasoning: bool
    auxiliary: OutcomeConfig | None
    data: str | None
    """Digest of the photographs, or of the dataset of the scenes."""
    scene_generator: str | None
    """Hash of the scene generator's sources; None for photographs."""
    temperature: float | None
    """Temperature of sampled answers; None for greedy ones."""


KEYS = {
    "seed": "seed",
    "scenes": "evaluation.scenes",
    "reasoning": "model.reasoning",
    "temperature": "temperature",
}
"""Keys of a run's configuration by the fields of a question; `environment` has the same."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Measurements that may be compared: the same question about the same scenes."""

    question: Question
    measurements: tuple[Measurement, ...]

    @property
    def policies(self) -> tuple[PolicyResult, ...]:
        """The results by policy, in the order of their first measurements."""
        by_name: dict[str, list[Measurement]] = {}
        for each in self.measurements:
            by_name.setdefault(each.policy, []).append(each)
        return tuple(
            PolicyResult(name, tuple(each.result for each in found))
            for name, found in by_name.items()
        )


def question_of(measurement: Measurement) -> Question:
    """Return what a measurement asked."""
    condition, settings = measurement.cell.condition, measurement.cell.settings
    drawn = condition.test_set != "real" or condition.shots > 0
    return Question(
        test_set=condition.test_set,
        shots=condition.shots,
        examples=condition.examples,
        images=condition.images,
        scenes=settings.scenes,
        seed=settings.seed if drawn else None,
        environment=settings.environment if drawn else None,
        reasoning=settings.reasoning,
        auxiliary=settings.auxiliary,
        data=settings.photos or settings.data,
        scene_generator=measurement.versions.get(SCENE_GENERATOR) if drawn else None,
        temperature=settings.temperature if condition.decoding == "sampled" else None,
    )


def group_by_question(measurements: Sequence[Measurement]) -> tuple[Asked, ...]:
    """Group measurements that may be compared, in their order.

    Greedy and sampled answers are not compared with each other, but shown in one group if all else
    is equal. Of several measurements of a policy with one name and one question, the last counts.
    """
    groups: dict[Question, dict[tuple[str, str, str], Measurement]] = {}
    for each in measurements:
        question, condition = question_of(each), each.cell.condition
        greedy = replace(question, temperature=None)
        if _alone(groups, greedy, question):
            question = greedy
        what = (each.policy, condition.task, condition.decoding)
        groups.setdefault(question, {})[what] = each
    return tuple(Asked(question, tuple(found.values())) for question, found in groups.items())


def _alone(
    groups: Mapping[Question, Mapping[Any, Measurement]], greedy: Question, question: Question
) -> bool:
    """Return whether a group of greedy answers holds no sampled ones of another temperature."""
    there = (question_of(each).temperature for each in groups.get(greedy, {}).values())
    return not {each for each in there if each is not None} - {question.temperature}


def describe_difference(question: Question, other: Question) -> str:
    """List the settings of a question that differ from another one's, with both values."""
    first, second = (flatten(to_jsonable_python(asdict(each))) for each in (question, other))
    return "; ".join(
        f"{key} {_shown(value)} (not {_shown(second.get(key))})"
        for key, value in first.items()
        if value != second.get(key)
    )


def overrides_to(question: Question, other: Question) -> list[str]:
    """List the overrides with which a run that was asked the other question is asked this one."""
    first, second = (flatten(to_jsonable_python(asdict(each))) for each in (question, other))
    changed = (key for key, value in first.items() if value != second.get(key))
    keys = {key: KEYS.get(key, key if key.startswith("environment.") else "") for key in changed}
    return [f"{name}={show_value(first[key])}" for key, name in keys.items() if name]


def _shown(value: object) -> str:
    """Return a value; of a digest its start."""
    text = "none" if value is None else str(value)
    return text[:12] if len(text) == 64 else text
