"""Scoring of people's answers like those of models: the same parser, simulator and labels."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from physrl.data.photos import Photo
from physrl.errors import DataError
from physrl.evaluation.answers import group_answers, photo_answer
from physrl.evaluation.controls import NoRenderer
from physrl.evaluation.keys import photos_content
from physrl.evaluation.people import PeopleGroup, PersonAnswer
from physrl.evaluation.requests import cell_source
from physrl.evaluation.specs import CellSpec, Condition, StudyPlan
from physrl.local_stages import LocalStages
from physrl.people.exclusions import Kept
from physrl.people.parts import part_key, people_cells
from physrl.people.recordings import Session, Trial
from physrl.protocols import RolloutRequest, Sampling
from physrl.rollout import run_rollouts
from physrl.tasks.answers import answer_text
from physrl.types import Completion, Generation, Prompt
from physrl.world import World

PHOTOGRAPHS = Condition("stability", "real")


@dataclass(frozen=True, slots=True)
class Given:
    """An answer of a person, before it is scored."""

    person: int
    scene: str
    answer: str
    seconds: float | None


def score_people(name: str, kept: Kept, plan: StudyPlan, photos: Sequence[Photo]) -> PeopleGroup:
    """Score the answers of all kept sessions.

    Raises:
        DataError: an answer is about another study, or about other scenes than the study's.
    """
    by_condition: dict[Condition, list[Given]] = {}
    cells = people_cells(plan)
    for person, session in enumerate(kept.sessions, 1):
        for condition, given in _given(person, session, plan, cells):
            by_condition.setdefault(condition, []).append(given)
    answers: list[PersonAnswer] = []
    for condition, asked in by_condition.items():
        if condition.test_set == "real":
            answers += score_photos(asked, _checked(photos, cells[condition]))
        else:
            answers += _score_scenes(asked, cells[condition])
    return PeopleGroup(name, tuple(answers), kept.excluded)


def score_photos(asked: Sequence[Given], photos: Sequence[Photo]) -> list[PersonAnswer]:
    """Score verdicts on photographs by their labels.

    Raises:
        DataError: a photograph is not among these.
    """
    by_name = {photo.file: photo for photo in photos}
    answers = []
    for given in asked:
        if given.scene not in by_name:
            raise DataError(
                f"an answer is about {given.scene[:60]!r}, which is not among the photographs: "
                "name the photographs that people saw with real_images"
            )
        answer = photo_answer(by_name[given.scene], _completion(given.answer))
        answers.append(PersonAnswer(given.person, PHOTOGRAPHS, answer, given.seconds))
    return answers


def _given(
    person: int, session: Session, plan: StudyPlan, cells: Mapping[Condition, CellSpec]
) -> Iterator[tuple[Condition, Given]]:
    seen: set[tuple[Condition, str]] = set()
    for trial in session.of("test"):
        condition = _condition(trial, plan, cells)
        if (condition, trial.scene) not in seen:  # a scene that was shown again is known
            seen.add((condition, trial.scene))
            yield condition, Given(person, trial.scene, trial.answer, trial.rt / 1000)


def _condition(trial: Trial, plan: StudyPlan, cells: Mapping[Condition, CellSpec]) -> Condition:
    if trial.study != plan.name:
        raise DataError(
            f"the data are of study {trial.study[:60]!r}, not of {plan.name}: name that study's "
            "store, or choose it with --study"
        )
    for condition, cell in cells.items():
        if (condition.task, condition.test_set) == (trial.task, trial.test_set):
            if part_key(cell) == trial.key:
                return condition
            raise DataError(
                f"the scenes of {trial.task} and {trial.test_set} in study {plan.name} are not "
                "those that people saw: its settings or the scene generator changed since "
                "physrl humans export"
            )
    raise DataError(
        f"the data are about {trial.task[:40]!r} and {trial.test_set[:40]!r}, which study "
        f"{plan.name} does not measure: name the study that the experiment was exported from"
    )


def _checked(photos: Sequence[Photo], cell: CellSpec) -> Sequence[Photo]:
    if not photos:
        raise DataError("people saw photographs, but real_images is not set: name their folder")
    if photos_content(photos) != cell.settings.photos:
        raise DataError("real_images are not the photographs of the study: name those")
    return photos


def _score_scenes(asked: Sequence[Given], cell: CellSpec) -> list[PersonAnswer]:
    """Carry out all answers to a scene at once, as a group of rollouts."""
    source = cell_source(cell)
    places = {source.scene_id(index): index for index in range(cell.settings.scenes)}
    by_scene: dict[str, list[Given]] = {}
    for given in asked:
        if given.scene not in places:
            raise DataError(
                f"an answer is about scene {given.scene[:60]!r}, which the study does not have: "
                "name the study that the experiment was exported from"
            )
        by_scene.setdefault(given.scene, []).append(given)
    indices = sorted(places[scene] for scene in by_scene)
    sampling = Sampling(1, 0.0, cell.settings.max_completion_tokens, 0)
    request = RolloutRequest(source, indices, sampling, cell.settings.reward)
    with closing(World(make_renderer=lambda settings: NoRenderer())) as world:
        groups = run_rollouts(request, LocalStages(world, _People(by_scene)))
        records = [group.read() for group in groups]
    return [
        PersonAnswer(given.person, cell.condition, answer, given.seconds)
        for record in records
        for given, answer in zip(
            by_scene[record.scene.scene_id], group_answers(record), strict=True
        )
    ]


class _People:
    """A `Generator` of the answers that people gave."""

    def __init__(self, given: Mapping[str, Sequence[Given]]) -> None:
        self._given = given

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        answers = (self._given[prompt.scene_id] for prompt in prompts)
        return [
            Generation((), tuple(_completion(given.answer) for given in each)) for each in answers
        ]


def _completion(answer: str) -> Completion:
    return Completion(answer_text(answer), (), (), False, 0)
