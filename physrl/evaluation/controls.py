"""Controls that see no image: the exact criterion's answers, and answers to other scenes."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from physrl.data.photos import Photo
from physrl.environments.randomness import stream
from physrl.evaluation.answers import STABILITY, photo_prompt
from physrl.evaluation.local import evaluate_cell
from physrl.evaluation.requests import cell_source
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import CellSpec
from physrl.protocols import Sampling
from physrl.scene_source import draw_scene
from physrl.tasks import TASKS
from physrl.tasks.task import Task, make_scene
from physrl.types import Appearance, Camera, Completion, Generation, Image, Pose, Prompt
from physrl.world import World

OTHERS = 4096
"""Scenes of the warm stream whose ideal answers the guesser draws from."""
Answer = Callable[[int], str]
"""Completion of each attempt, counted from 0."""


def evaluate_control(cell: CellSpec, photos: Sequence[Photo]) -> CellResult:
    """Carry out the answers of the cell's control like a model's.

    `physics` gives each scene's ideal answer; what it misses, the simulator and the criterion
    disagree on. `guesser` gives the ideal answer to some other scene of the task, of the warm
    stream: what can be earned by knowing how answers are distributed.

    Args:
        photos: for the test set `real`, which has no scenes that physics could use.

    Raises:
        ValueError: the cell's subject is a model, or physics is asked about photographs.
    """
    kind = cell.subject.kind
    if kind not in ("physics", "guesser"):
        raise ValueError(f"{cell.subject.name} is a {kind} subject: a control sees no image")
    world = World(make_renderer=lambda settings: _NoRenderer())
    try:
        return evaluate_cell(cell, _Script(_answers(cell, photos)), world, photos)
    finally:
        world.close()


def _answers(cell: CellSpec, photos: Sequence[Photo]) -> dict[str, Answer]:
    """Prepare the control's answers by the id of the scene or photograph."""
    task = TASKS[cell.condition.task]
    if cell.subject.kind == "guesser" and cell.condition.test_set == "real":
        names = [photo_prompt(photo, reasoning=False).scene_id for photo in photos]
        return {name: _Guesses(cell, STABILITY, place) for place, name in enumerate(names)}
    source = cell_source(cell)
    indices = range(cell.settings.scenes)
    if cell.subject.kind == "guesser":
        return {source.scene_id(index): _Guesses(cell, task, index) for index in indices}
    targets = {source.scene_id(index): task.target(draw_scene(source, index)) for index in indices}
    return {name: _Constant(target) for name, target in targets.items()}


class _Constant:
    """The same answer at each attempt."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __call__(self, attempt: int) -> str:
        return self._text


class _Guesses:
    """The ideal answer of another scene at each attempt, drawn for the place of this one."""

    def __init__(self, cell: CellSpec, task: Task, place: int) -> None:
        self._cell, self._task, self._place = cell, task, place

    def __call__(self, attempt: int) -> str:
        asked, task = self._cell.settings, self._task
        rng = stream(f"{asked.seed}/{task.name}/guesser/{attempt}", self._place)
        index = int(rng.integers(OTHERS))
        return task.target(make_scene(task, asked.environment, asked.seed, "warm", index))


class _Script:
    """A `Generator` that gives prepared answers."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self._answers = answers
        self._attempts: Counter[str] = Counter()

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        return [Generation((), (self._completion(prompt.scene_id),)) for prompt in prompts]

    def _completion(self, scene_id: str) -> Completion:
        text = self._answers[scene_id](self._attempts[scene_id])
        self._attempts[scene_id] += 1
        return Completion(text, (), (), truncated=False, policy_version=0)


class _NoRenderer:
    """A `Renderer` whose images are never looked at."""

    def render(
        self, poses: Sequence[Pose], camera: Camera, appearance: Appearance, size: int
    ) -> Image:
        return np.zeros((1, 1, 3), np.uint8)

    def close(self) -> None:
        """Free nothing."""
