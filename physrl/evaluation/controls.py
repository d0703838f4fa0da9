"""Controls that look at no picture: the exact criterion's answers, and answers to other scenes."""

from collections.abc import Sequence

from physrl.data.photos import Photo
from physrl.environments.randomness import stream
from physrl.environments.simulator import Simulator
from physrl.evaluation.asking import cell_source
from physrl.evaluation.cells import CellResult
from physrl.evaluation.evaluator import STABILITY, answered, answered_photo
from physrl.evaluation.results import Answered
from physrl.evaluation.specs import CellSpec
from physrl.rewards.score import score
from physrl.scene_source import draw_scene
from physrl.tasks import TASKS
from physrl.tasks.task import Task, make_scene
from physrl.types import Attempt, Completion, Prompt, Rollout, SceneSpec

OTHERS = 4096
"""Scenes of the warm stream whose ideal answers are guessed from."""


def answer_control(cell: CellSpec, simulator: Simulator, photos: Sequence[Photo]) -> CellResult:
    """The answers of the cell's control, carried out like a model's.

    `physics` gives each scene's ideal answer; what it misses, the simulator and the criterion
    disagree on. `guesser` gives the ideal answer to some other scene of the task, of the warm
    stream: what can be earned by knowing how answers are distributed.

    Args:
        photos: for the test set `real`, of which physics knows nothing.

    Raises:
        ValueError: the cell's subject is a model, or physics is asked about photographs.
    """
    kind = cell.subject.kind
    if kind == "guesser" and cell.condition.test_set == "real":
        answers = [_guess_photo(cell, place, photo) for place, photo in enumerate(photos)]
        return CellResult(cell.key, tuple(answers))
    if kind not in ("physics", "guesser"):
        raise ValueError(f"{cell.subject.name} is a {kind} subject: a control looks at no picture")
    source = cell_source(cell)
    scenes = [draw_scene(source, index) for index in range(cell.settings.scenes)]
    said = [
        [TASKS[scene.task].target(scene)] if kind == "physics" else _guesses(cell, place)
        for place, scene in enumerate(scenes)
    ]
    answers = [
        _carry_out(cell, scene, texts, simulator) for scene, texts in zip(scenes, said, strict=True)
    ]
    return CellResult(cell.key, tuple(answers))


def _guesses(cell: CellSpec, place: int) -> list[str]:
    """One answer an attempt, each the ideal one of a scene drawn for this place."""
    task = TASKS[cell.condition.task]
    return [_guess(cell, task, place, attempt) for attempt in range(task.attempts)]


def _guess(cell: CellSpec, task: Task, place: int, attempt: int) -> str:
    rng = stream(f"{cell.settings.seed}/{task.name}/guesser/{attempt}", place)
    index = int(rng.integers(OTHERS))
    other = make_scene(task, cell.settings.environment, cell.settings.seed, "warm", index)
    return task.target(other)


def _guess_photo(cell: CellSpec, place: int, photo: Photo) -> Answered:
    return answered_photo(photo, _completion(_guess(cell, STABILITY, place, 0)))


def _carry_out(
    cell: CellSpec, scene: SceneSpec, texts: Sequence[str], simulator: Simulator
) -> Answered:
    """The answers in turn, until one succeeds."""
    task, attempts = TASKS[scene.task], []
    for text in texts:
        action = task.parse(text)
        outcome = task.act(scene, action, simulator)
        unseen = Prompt.ask(scene.scene_id, "")
        attempts.append(Attempt(unseen, (), _completion(text), action, outcome))
        if outcome.success:
            break
    rollout = Rollout(tuple(attempts), score(scene, attempts, cell.settings.reward))
    return answered(scene, rollout)


def _completion(text: str) -> Completion:
    return Completion(text, (), (), truncated=False, policy_version=0)
